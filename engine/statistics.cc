// The seven statistics of engine/stats.py in one pass over memory, as a call that XLA makes on a CPU.
//
// Same numbers as there: sums of a finite array whose squares can be held are taken at once; one that is too small or too
// large for that is read again, multiplied by a power of two; any other in double precision.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

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
constexpr double kLargest = 0x1p50;   // engine.stats.LARGEST
constexpr double kSteepest = 1024.0;  // engine.stats.STEEPEST

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Sums {
  double sum = 0, square = 0, zeros = 0, low = 0, high = 0;  // NaN counts in the sums alone
};

// Vectors by name: left to itself the compiler keeps these sums in memory, and takes twice as long. The entries are
// multiplied by a number first, where it is not 1.
#define SUMS_OF(T, Integer, Name, kBytes, Target)                                                                      \
  typedef T Name##Vector __attribute__((vector_size(kBytes)));                                                         \
  typedef Integer Name##Counts __attribute__((vector_size(kBytes)));                                                   \
  Target static inline __attribute__((always_inline)) void Name##Times(const T* x, int64_t n, T factor, Sums* found) { \
    constexpr int kLanes = kBytes / sizeof(T);                                                                         \
    Name##Vector low = kInfinity - Name##Vector{}, high = -low, low2 = low, high2 = high;                              \
    const int64_t whole = n - n % (2 * kLanes);                                                                        \
    for (int64_t i = 0; i < whole;) {                                                                                  \
      const int64_t end = std::min(i + kBlock, whole);                                                                 \
      Name##Vector sum = {}, sum2 = {}, square = {}, square2 = {};                                                     \
      Name##Counts zeros = {}, zeros2 = {};                                                                            \
      for (; i < end; i += 2 * kLanes) {                                                                               \
        Name##Vector v, v2;                                                                                            \
        __builtin_memcpy(&v, x + i, kBytes), __builtin_memcpy(&v2, x + i + kLanes, kBytes);                            \
        if (factor != 1) v *= factor, v2 *= factor;                                                                    \
        sum += v, sum2 += v2, square += v * v, square2 += v2 * v2;                                                     \
        zeros -= Name##Counts(v == 0), zeros2 -= Name##Counts(v2 == 0);                                                \
        low = v < low ? v : low, low2 = v2 < low2 ? v2 : low2;                                                         \
        high = v > high ? v : high, high2 = v2 > high2 ? v2 : high2;                                                   \
      }                                                                                                                \
      zeros += zeros2;                                                                                                 \
      for (int j = 0; j < kLanes; ++j) {                                                                               \
        found->sum += double(sum[j]) + sum2[j], found->square += double(square[j]) + square2[j];                       \
        found->zeros += zeros[j];                                                                                      \
      }                                                                                                                \
    }                                                                                                                  \
    low = low2 < low ? low2 : low, high = high2 > high ? high2 : high;                                                 \
    for (int j = 1; j < kLanes; ++j) {                                                                                 \
      low[0] = low[j] < low[0] ? low[j] : low[0], high[0] = high[j] > high[0] ? high[j] : high[0];                     \
    }                                                                                                                  \
    T least = low[0], most = high[0];                                                                                  \
    for (int64_t i = whole; i < n; ++i) {                                                                              \
      const T v = x[i] * factor;                                                                                       \
      found->sum += v, found->square += double(v) * v, found->zeros += v == 0;                                         \
      least = v < least ? v : least, most = v > most ? v : most;                                                       \
    }                                                                                                                  \
    found->low = least, found->high = most;                                                                            \
  }                                                                                                                    \
  Target static void Name(const T* x, int64_t n, Sums* found) { Name##Times(x, n, T(1), found); }                      \
  Target static void Name##Scaled(const T* x, int64_t n, T factor, Sums* found) { Name##Times(x, n, factor, found); }

#if defined(__x86_64__) && defined(__GNUC__)
SUMS_OF(float, int32_t, SumsOfFloats512, 64, __attribute__((target("avx512f"))))
SUMS_OF(double, int64_t, SumsOfDoubles512, 64, __attribute__((target("avx512f"))))
SUMS_OF(float, int32_t, SumsOfFloats256, 32, __attribute__((target("avx2"))))
SUMS_OF(double, int64_t, SumsOfDoubles256, 32, __attribute__((target("avx2"))))
static const bool kWidest = (__builtin_cpu_init(), __builtin_cpu_supports("avx512f"));
static const bool kWide = (__builtin_cpu_init(), __builtin_cpu_supports("avx2"));
#define WIDEST_OF(Name, How) (kWidest ? Name##512##How : kWide ? Name##256##How : Name##How)
#else
#define WIDEST_OF(Name, How) Name##How
#endif
SUMS_OF(float, int32_t, SumsOfFloats, 16, )
SUMS_OF(double, int64_t, SumsOfDoubles, 16, )
static void SumsOf(const float* x, int64_t n, Sums* found) { WIDEST_OF(SumsOfFloats, )(x, n, found); }
static void SumsOf(const double* x, int64_t n, Sums* found) { WIDEST_OF(SumsOfDoubles, )(x, n, found); }
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

// The largest entry, and whether sums of squares of entries up to that size are neither too large nor too small.
static double Peak(const Sums& sums) { return std::max(std::fabs(sums.low), std::fabs(sums.high)); }
static bool Within(double peak) { return peak == 0 || (peak < kLargest && peak > 1 / kLargest); }

template <typename T>
static void Carefully(const T* x, int64_t n, const Sums& known, T* row) {
  const double peak = Peak(known);
  int64_t nonfinite = 0, lost = 0;
  if (!std::isfinite(known.sum) || !std::isfinite(peak)) {
    for (int64_t i = 0; i < n; ++i) nonfinite += !std::isfinite(x[i]), lost += std::isnan(x[i]);
  }
  const bool scaled = sizeof(T) == sizeof(double) && std::isfinite(peak) && peak > 0;
  const int exponent = scaled ? std::ilogb(peak) : 0;
  const double first = std::scalbn(1.0, -exponent / 2), second = std::scalbn(1.0, -exponent - -exponent / 2);
  Around origin{first, second, 0.0};
  Take(x, n, &origin);
  Around mean{first, second, origin.sum / n};
  Take(x, n, &mean);
  row[0] = T(std::scalbn(std::sqrt(origin.square / n), exponent));
  row[1] = T(std::scalbn(mean.mean, exponent));
  row[2] = T(std::scalbn(std::sqrt(mean.square / n), exponent));
  row[3] = lost ? std::numeric_limits<T>::quiet_NaN() : T(known.low);
  row[4] = lost ? std::numeric_limits<T>::quiet_NaN() : T(known.high);
  row[5] = T(known.zeros / n), row[6] = T(nonfinite);
}

// Whether these sums tell how the entries vary.
static bool Held(const Sums& sums, int64_t n) {
  const double mean = sums.sum / n, square = sums.square / n;
  return std::isfinite(square) && Within(Peak(sums)) && mean * mean <= kSteepest * (square - mean * mean);
}

template <typename T>
static void Measure(const T* x, int64_t n, T* row) {
  Sums found;
  SumsOf(x, n, &found);
  if (found.low == found.high && std::isfinite(found.sum)) {  // the same number everywhere: that of a scalar, say
    const T v = T(found.low);
    row[0] = std::fabs(v), row[1] = v, row[2] = 0, row[3] = row[4] = v, row[5] = T(v == 0), row[6] = 0;
    return;
  }
  Sums sums = found;
  double unit = 1;
  if (!Within(Peak(found)) && std::isfinite(Peak(found))) {  // a gradient that has all but vanished, say
    const int exponent = std::ilogb(Peak(found));
    const T factor = std::scalbn(T(1), -exponent);
    if (std::isnormal(factor)) sums = Sums(), SumsOf(x, n, factor, &sums), unit = std::scalbn(1.0, exponent);
  }
  if (!Held(sums, n)) return Carefully(x, n, found, row);
  const double mean = sums.sum / n, square = sums.square / n;
  row[0] = T(std::sqrt(square) * unit), row[1] = T(mean * unit), row[2] = T(std::sqrt(square - mean * mean) * unit);
  row[3] = T(found.low), row[4] = T(found.high), row[5] = T(found.zeros / n), row[6] = T(0);
}

// Arrays, each cut into `rows` of equal length as it lies in memory, and each row measured into one of the result, of shape
// (..., rows of all of them, 7); axes in front are those of vmap, the same for all. Where there are lengths in `joined`,
// the first is arrays of these lengths, one behind the other, each a row.
template <ffi::DataType kType>
static ffi::Error Statistics(ffi::Span<const int64_t> rows, ffi::Span<const int64_t> joined, ffi::RemainingArgs arrays,
                             ffi::Result<ffi::Buffer<kType>> out) {
  const auto shape = out->dimensions();
  const int64_t together = shape[shape.size() - 2];
  const int64_t batch = together ? int64_t(out->element_count()) / (together * kWidth) : 0;
  int64_t before = 0;
  for (size_t k = 0; k < arrays.size(); ++k) {
    const auto array = arrays.get<ffi::Buffer<kType>>(k);
    if (array.has_error()) return array.error();
    const bool parts = k == 0 && joined.size();
    const int64_t made = parts ? joined.size() : rows[k];
    const auto* x = array->typed_data();
    const int64_t n = batch && made ? int64_t(array->element_count()) / (batch * made) : 0;
    for (int64_t b = 0; b < batch; ++b) {
      auto* row = out->typed_data() + (b * together + before) * kWidth;
      for (int64_t r = 0; r < made; ++r, row += kWidth) {
        const int64_t length = parts ? joined[r] : n;
        Measure(x, length, row);
        x += length;
      }
    }
    before += made;
  }
  return ffi::Error::Success();
}

#define STATISTICS(Name, kType)                                 \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(Name, Statistics<kType>,        \
                                ffi::Ffi::Bind()                \
                                    .Attr<ffi::Span<const int64_t>>("rows")   \
                                    .Attr<ffi::Span<const int64_t>>("joined") \
                                    .RemainingArgs()            \
                                    .Ret<ffi::Buffer<kType>>())

STATISTICS(StatisticsOfFloats, ffi::F32);
STATISTICS(StatisticsOfDoubles, ffi::F64);
