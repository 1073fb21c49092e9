// The seven statistics of engine/stats.py in one pass over memory, as a call that XLA makes on a CPU.
//
// Same numbers as there: sums of a finite array whose squares can be held are taken at once; one that is too small or too
// large for that is read again, multiplied by a power of two; any other in double precision.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

// One binary serves every x86-64 processor: the widest version that it can run is picked when the library is loaded.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

constexpr int kWidth = 7;             // rms, mean, std, min, max, zero fraction, count of NaN and infinities
constexpr int kLanes = 32;            // sums taken side by side, so that they are vectors
constexpr int64_t kBlock = 4096;      // entries after which sums go on in double precision
constexpr int64_t kTerms = 4;         // engine.kernel.TERMS
constexpr int64_t kAtOnce = 3;        // terms that are added as their sum is looked at
constexpr int64_t kUnrolled = 64;     // entries that are looked at at a time, at most
constexpr double kLargest = 0x1p50;   // engine.stats.LARGEST
constexpr double kSteepest = 1024.0;  // engine.stats.STEEPEST

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Sums {
  double sum = 0, square = 0, zeros = 0, low = kInfinity, high = -kInfinity;  // NaN counts in the sums alone
};

// What is added to entries: an array's, from `at` on, and where it is shorter from its start again.
template <typename T>
struct Term {
  const T* x;
  int64_t length, at;
};

// Adds what a block of at most kBlock entries has, each multiplied by a number first where it is not 1, or added to others,
// whose lengths are multiples of kUnrolled where they are shorter. Vectors by name:
// left to itself the compiler keeps these sums in memory, and takes twice as long. A zero is told by its exponent: as
// integers any part of the processor compares them, as numbers half of it. (To XLA what is smaller than every normal
// number is zero too.)
#define TAKE(Name, kPlace, Count, sum, square, low, high)                                                              \
  {                                                                                                                    \
    Name##Vector v, w;                                                                                                 \
    __builtin_memcpy(&v, x + i + kPlace * kLanes, sizeof v);                                                           \
    if (factor != 1) v *= factor;                                                                                      \
    for (int k = 0; k < kOthers; ++k) __builtin_memcpy(&w, y[k] + at[k] + kPlace * kLanes, sizeof w), v += w;          \
    sum += v, square += v * v, Count(Name, v);                                                                         \
    low = v < low ? v : low, high = v > high ? v : high;                                                               \
  }

// Zeros of a vector, counted in lanes, or in a register of the processor's other half where a vector's comparison is a
// mask of bits.
#define IN_LANES(Name, v) zeros -= Name##Bits(((Name##Bits)v & kExponent) == 0)
#define AS_BITS(kSize, v) \
  none += __builtin_popcount(_mm512_testn_epi##kSize##_mask((__m512i)v, _mm512_set1_epi##kSize(kExponent)))
#define AS_BITS_32(Name, v) AS_BITS(32, v)
#define AS_BITS_64(Name, v) AS_BITS(64, v)

// Folds a vector into its first 16 bytes.
#define FOLDED(Type, vector, With)                                                                                     \
  Type##Part vector##Parts[sizeof vector / 16];                                                                        \
  __builtin_memcpy(vector##Parts, &vector, sizeof vector);                                                             \
  for (size_t k = 1; k < sizeof vector / 16; ++k) With(vector##Parts[0], vector##Parts[k]);

#define PLUS(a, b) a += b
#define LEAST(a, b) a = b < a ? b : a
#define MOST(a, b) a = b > a ? b : a

typedef float floatPart __attribute__((vector_size(16)));
typedef double doublePart __attribute__((vector_size(16)));
typedef int32_t int32_tPart __attribute__((vector_size(16)));
typedef int64_t int64_tPart __attribute__((vector_size(16)));

#define SUMS_OF(T, Integer, kBits, Name, kBytes, Count, Target)                                                        \
  typedef T Name##Vector __attribute__((vector_size(kBytes)));                                                         \
  typedef Integer Name##Bits __attribute__((vector_size(kBytes)));                                                     \
  template <int kOthers>                                                                                               \
  Target static inline __attribute__((always_inline)) void Name##With(const T* x, int64_t n, T factor,                 \
                                                                      const Term<T>* others, Sums* found) {            \
    constexpr int kLanes = kBytes / sizeof(T);                                                                         \
    constexpr Integer kExponent = kBits;                                                                               \
    T least = kInfinity, most = -kInfinity;                                                                            \
    const T* y[kTerms];                                                                                                \
    int64_t lengths[kTerms], at[kTerms];                                                                               \
    for (int k = 0; k < kOthers; ++k) y[k] = others[k].x, lengths[k] = others[k].length, at[k] = others[k].at;         \
    int64_t i = 0, none = 0;                                                                                           \
    if (n >= kLanes) {                                                                                                 \
      Name##Vector low = kInfinity - Name##Vector{}, high = -low, low2 = low, high2 = high;                            \
      Name##Vector sum = {}, sum2 = {}, square = {}, square2 = {}, square3 = {}, square4 = {};                         \
      Name##Bits zeros = {};                                                                                           \
      for (; i <= n - 4 * kLanes; i += 4 * kLanes) {                                                                   \
        TAKE(Name, 0, Count, sum, square, low, high)                                                                   \
        TAKE(Name, 1, Count, sum2, square2, low2, high2)                                                               \
        TAKE(Name, 2, Count, sum, square3, low, high)                                                                  \
        TAKE(Name, 3, Count, sum2, square4, low2, high2)                                                               \
        for (int k = 0; k < kOthers; ++k) at[k] += 4 * kLanes, at[k] = at[k] == lengths[k] ? 0 : at[k];                \
      }                                                                                                                \
      for (; i <= n - kLanes; i += kLanes) {                                                                           \
        TAKE(Name, 0, Count, sum, square, low, high)                                                                   \
        for (int k = 0; k < kOthers; ++k) at[k] += kLanes;                                                             \
      }                                                                                                                \
      sum += sum2, square += square2, square3 += square4, square += square3;                                           \
      LEAST(low, low2), MOST(high, high2);                                                                             \
      FOLDED(T, sum, PLUS) FOLDED(T, square, PLUS) FOLDED(Integer, zeros, PLUS)                                        \
      FOLDED(T, low, LEAST) FOLDED(T, high, MOST)                                                                      \
      for (size_t j = 0; j < 16 / sizeof(T); ++j) {                                                                    \
        found->sum += sumParts[0][j], found->square += squareParts[0][j], none += zerosParts[0][j];                    \
        LEAST(least, lowParts[0][j]), MOST(most, highParts[0][j]);                                                     \
      }                                                                                                                \
    }                                                                                                                  \
    for (; i < n; ++i) {                                                                                               \
      T v = x[i] * factor;                                                                                             \
      for (int k = 0; k < kOthers; ++k) v += y[k][at[k]++];                                                            \
      found->sum += v, found->square += double(v) * v, none += v == 0;                                                 \
      LEAST(least, v), MOST(most, v);                                                                                  \
    }                                                                                                                  \
    found->zeros += none;                                                                                              \
    found->low = std::min(found->low, double(least)), found->high = std::max(found->high, double(most));               \
  }                                                                                                                    \
  Target static void Name##Scaled(const T* x, int64_t n, T factor, Sums* found) {                                      \
    Name##With<0>(x, n, factor, nullptr, found);                                                                       \
  }                                                                                                                    \
  Target static void Name(const T* x, int64_t n, const Term<T>* others, int count, Sums* found) {                      \
    if (count == 0) Name##With<0>(x, n, T(1), others, found);                                                          \
    if (count == 1) Name##With<1>(x, n, T(1), others, found);                                                          \
    if (count == 2) Name##With<2>(x, n, T(1), others, found);                                                          \
  }

#if defined(__x86_64__) && defined(__GNUC__)
SUMS_OF(float, int32_t, 0x7f800000, SumsOfFloats512, 64, AS_BITS_32, __attribute__((target("avx512f,popcnt"))))
SUMS_OF(double, int64_t, 0x7ff0000000000000, SumsOfDoubles512, 64, AS_BITS_64, __attribute__((target("avx512f,popcnt"))))
SUMS_OF(float, int32_t, 0x7f800000, SumsOfFloats256, 32, IN_LANES, __attribute__((target("avx2,fma"))))
SUMS_OF(double, int64_t, 0x7ff0000000000000, SumsOfDoubles256, 32, IN_LANES, __attribute__((target("avx2,fma"))))
static const bool kWidest = (__builtin_cpu_init(), __builtin_cpu_supports("avx512f"));
static const bool kWide = (__builtin_cpu_init(), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#define WIDEST_OF(Name, How) (kWidest ? Name##512##How : kWide ? Name##256##How : Name##How)
#else
#define WIDEST_OF(Name, How) Name##How
#endif
SUMS_OF(float, int32_t, 0x7f800000, SumsOfFloats, 16, IN_LANES, )
SUMS_OF(double, int64_t, 0x7ff0000000000000, SumsOfDoubles, 16, IN_LANES, )
static void SumsOf(const float* x, int64_t n, const Term<float>* others, int count, Sums* found) {
  WIDEST_OF(SumsOfFloats, )(x, n, others, count, found);
}
static void SumsOf(const double* x, int64_t n, const Term<double>* others, int count, Sums* found) {
  WIDEST_OF(SumsOfDoubles, )(x, n, others, count, found);
}
static void SumsOf(const float* x, int64_t n, float factor, Sums* found) {
  WIDEST_OF(SumsOfFloats, Scaled)(x, n, factor, found);
}
static void SumsOf(const double* x, int64_t n, double factor, Sums* found) {
  WIDEST_OF(SumsOfDoubles, Scaled)(x, n, factor, found);
}

// What a sum in single precision can't hold, in double precision: of doubles, scaled by a power of two, in two factors
// because one of them may be beyond a double itself; floats need no scaling there.
struct Around {
  double first, second, mean;
  double sum = 0, square = 0;
};

#define AROUND_OF(T, Name)                                                                    \
  FOR_EACH_PROCESSOR static void Name(const T* x, int64_t n, Around* found) {                 \
    double sum[kLanes] = {0}, square[kLanes] = {0};                                           \
    const double first = found->first, second = found->second, mean = found->mean;            \
    const int64_t whole = n - n % kLanes;                                                     \
    for (int64_t i = 0; i < whole; i += kLanes) {                                             \
      for (int j = 0; j < kLanes; ++j) {                                                      \
        const double v = double(x[i + j]) * first * second - mean;                            \
        sum[j] += v, square[j] += v * v;                                                      \
      }                                                                                       \
    }                                                                                         \
    for (int64_t i = whole; i < n; ++i) {                                                     \
      const double v = double(x[i]) * first * second - mean;                                  \
      sum[0] += v, square[0] += v * v;                                                        \
    }                                                                                         \
    for (int j = 0; j < kLanes; ++j) found->sum += sum[j], found->square += square[j];        \
  }

AROUND_OF(float, AroundFloats)
AROUND_OF(double, AroundDoubles)
static void Take(const float* x, int64_t n, Around* found) { AroundFloats(x, n, found); }
static void Take(const double* x, int64_t n, Around* found) { AroundDoubles(x, n, found); }

// Adds to n entries those of y, from `at` on and from its start again. The sum may take the place of x.
#define ADDED_OF(T, Name)                                                                                      \
  FOR_EACH_PROCESSOR static void Name(const T* x, const T* y, int64_t length, int64_t at, int64_t n, T* to) {  \
    for (int64_t i = 0; i < n; at = 0) {                                                                       \
      const int64_t m = std::min(length - at, n - i);                                                          \
      _Pragma("GCC ivdep") for (int64_t j = 0; j < m; ++j) to[i + j] = x[i + j] + y[at + j];                   \
      i += m;                                                                                                  \
    }                                                                                                          \
  }

ADDED_OF(float, AddedFloats)
ADDED_OF(double, AddedDoubles)
static void Add(const float* x, const float* y, int64_t length, int64_t at, int64_t n, float* to) {
  AddedFloats(x, y, length, at, n, to);
}
static void Add(const double* x, const double* y, int64_t length, int64_t at, int64_t n, double* to) {
  AddedDoubles(x, y, length, at, n, to);
}

// What is measured: an array as it lies in memory, or the sum of some, which is nowhere but in the block that is looked at.
// The first has all the entries; those of the others are repeated until they are as many.
template <typename T>
struct Whole {
  const T* terms[kTerms];
  int64_t lengths[kTerms];
  int64_t count = 0;

  template <typename Look>
  void Each(Look look) const {
    T block[kBlock];
    for (int64_t start = 0; start < lengths[0]; start += kBlock) {
      const int64_t n = std::min(kBlock, lengths[0] - start);
      const T* x = terms[0] + start;
      for (int64_t k = 1; k < count; x = block, ++k) {
        Add(x, terms[k], lengths[k], start % lengths[k], n, block);
      }
      look(x, n);
    }
  }
};

// The largest entry, and whether sums of squares of entries up to that size are neither too large nor too small.
static double Peak(const Sums& sums) { return std::max(std::fabs(sums.low), std::fabs(sums.high)); }
static bool Within(double peak) { return peak == 0 || (peak < kLargest && peak > 1 / kLargest); }

template <typename T>
static void Carefully(const Whole<T>& whole, const Sums& known, T* row) {
  const double peak = Peak(known), n = whole.lengths[0];
  int64_t nonfinite = 0, lost = 0;
  if (!std::isfinite(known.sum) || !std::isfinite(peak)) {
    whole.Each([&](const T* x, int64_t n) {
      for (int64_t i = 0; i < n; ++i) nonfinite += !std::isfinite(x[i]), lost += std::isnan(x[i]);
    });
  }
  const bool scaled = sizeof(T) == sizeof(double) && std::isfinite(peak) && peak > 0;
  const int exponent = scaled ? std::ilogb(peak) : 0;
  const double first = std::scalbn(1.0, -exponent / 2), second = std::scalbn(1.0, -exponent - -exponent / 2);
  Around origin{first, second, 0.0};
  whole.Each([&](const T* x, int64_t n) { Take(x, n, &origin); });
  Around mean{first, second, origin.sum / n};
  whole.Each([&](const T* x, int64_t n) { Take(x, n, &mean); });
  row[0] = T(std::scalbn(std::sqrt(origin.square / n), exponent));
  row[1] = T(std::scalbn(mean.mean, exponent));
  row[2] = T(std::scalbn(std::sqrt(mean.square / n), exponent));
  row[3] = lost ? std::numeric_limits<T>::quiet_NaN() : T(known.low);
  row[4] = lost ? std::numeric_limits<T>::quiet_NaN() : T(known.high);
  row[5] = T(known.zeros / n), row[6] = T(nonfinite);
}

// The row of entries that were multiplied by 1 / unit as they were summed, if the sums tell how they vary.
template <typename T>
static bool Told(const Sums& sums, double unit, const Sums& found, int64_t n, T* row) {
  const double mean = sums.sum / n, square = sums.square / n, variance = square - mean * mean;
  if (!std::isfinite(square) || !Within(Peak(sums)) || !(mean * mean <= kSteepest * variance)) return false;
  row[0] = T(std::sqrt(square) * unit), row[1] = T(mean * unit), row[2] = T(std::sqrt(variance) * unit);
  row[3] = T(found.low), row[4] = T(found.high), row[5] = T(found.zeros / n), row[6] = T(0);
  return true;
}

template <typename T>
static void SumsOf(const Whole<T>& whole, Sums* found) {
  const int64_t all = whole.lengths[0];
  bool at_once = whole.count <= kAtOnce;
  for (int64_t k = 1; k < whole.count; ++k) at_once &= whole.lengths[k] == all || whole.lengths[k] % kUnrolled == 0;
  if (!at_once) return whole.Each([&](const T* x, int64_t n) { SumsOf(x, n, nullptr, 0, found); });
  Term<T> others[kAtOnce];
  for (int64_t start = 0; start < all; start += kBlock) {
    for (int64_t k = 1; k < whole.count; ++k) {
      others[k - 1] = {whole.terms[k], whole.lengths[k], start ? start % whole.lengths[k] : 0};
    }
    SumsOf(whole.terms[0] + start, std::min(kBlock, all - start), others, whole.count - 1, found);
  }
}

template <typename T>
static void Measure(const Whole<T>& whole, T* row) {
  const int64_t n = whole.lengths[0];
  Sums found;
  SumsOf(whole, &found);
  if (found.low == found.high && std::isfinite(found.sum)) {  // the same number everywhere: that of a scalar, say
    const T v = T(found.low);
    row[0] = std::fabs(v), row[1] = v, row[2] = 0, row[3] = row[4] = v, row[5] = T(v == 0), row[6] = 0;
    return;
  }
  if (Told(found, 1, found, n, row)) return;
  if (!Within(Peak(found)) && std::isfinite(Peak(found))) {  // a gradient that has all but vanished, say
    const int exponent = std::ilogb(Peak(found));
    const T factor = std::scalbn(T(1), -exponent);
    Sums scaled;
    if (std::isnormal(factor)) whole.Each([&](const T* x, int64_t n) { SumsOf(x, n, factor, &scaled); });
    if (std::isnormal(factor) && Told(scaled, std::scalbn(1.0, exponent), found, n, row)) return;
  }
  Carefully(whole, found, row);
}

// Wholes, each of so many `terms`, cut into `rows` of equal length as it lies in memory, and each row measured into one of
// the result, of shape (..., rows of all of them, 7); axes in front are those of vmap, the same for all. Where there are
// lengths in `joined`, the first is arrays of these lengths, one behind the other, each a row.
template <ffi::DataType kType>
static ffi::Error Statistics(ffi::Span<const int64_t> terms, ffi::Span<const int64_t> rows,
                             ffi::Span<const int64_t> joined, ffi::RemainingArgs arrays,
                             ffi::Result<ffi::Buffer<kType>> out) {
  const auto shape = out->dimensions();
  const int64_t together = shape[shape.size() - 2];
  const int64_t batch = together ? int64_t(out->element_count()) / (together * kWidth) : 0;
  int64_t before = 0;
  for (size_t k = 0, next = 0; k < terms.size(); ++k) {
    const bool parts = k == 0 && joined.size();
    const int64_t made = parts ? joined.size() : rows[k];
    if (terms[k] < 1 || terms[k] > kTerms) return ffi::Error::InvalidArgument("1 to 4 terms are taken");
    Whole<ffi::NativeType<kType>> whole;
    for (; whole.count < terms[k]; ++whole.count) {
      const auto array = arrays.get<ffi::Buffer<kType>>(next++);
      if (array.has_error()) return array.error();
      whole.terms[whole.count] = array->typed_data();
      whole.lengths[whole.count] = batch && made ? int64_t(array->element_count()) / (batch * made) : 0;
    }
    for (int64_t b = 0; b < batch; ++b) {
      auto* row = out->typed_data() + (b * together + before) * kWidth;
      for (int64_t r = 0; r < made; ++r, row += kWidth) {
        if (parts) whole.lengths[0] = joined[r];
        Measure(whole, row);
        for (int64_t t = 0; t < whole.count; ++t) whole.terms[t] += whole.lengths[t];
      }
    }
    before += made;
  }
  return ffi::Error::Success();
}

#define STATISTICS(Name, kType)                                 \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(Name, Statistics<kType>,        \
                                ffi::Ffi::Bind()                \
                                    .Attr<ffi::Span<const int64_t>>("terms")  \
                                    .Attr<ffi::Span<const int64_t>>("rows")   \
                                    .Attr<ffi::Span<const int64_t>>("joined") \
                                    .RemainingArgs()            \
                                    .Ret<ffi::Buffer<kType>>())

STATISTICS(StatisticsOfFloats, ffi::F32);
STATISTICS(StatisticsOfDoubles, ffi::F64);

// What stands in a program that was traced for a GPU and runs on the CPU beside it after all; no scratch is needed here.
static ffi::Error InItsPlace(ffi::Span<const int64_t> terms, ffi::Span<const int64_t> rows,
                             ffi::Span<const int64_t> joined, ffi::RemainingArgs arrays,
                             ffi::Result<ffi::Buffer<ffi::F32>> out, ffi::Result<ffi::Buffer<ffi::U8>>) {
  return Statistics<ffi::F32>(terms, rows, joined, arrays, out);
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(StatisticsOnCuda, InItsPlace,
                              ffi::Ffi::Bind()
                                  .Attr<ffi::Span<const int64_t>>("terms")
                                  .Attr<ffi::Span<const int64_t>>("rows")
                                  .Attr<ffi::Span<const int64_t>>("joined")
                                  .RemainingArgs()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::U8>>());
