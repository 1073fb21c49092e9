// The seven statistics of engine/stats.py in one pass over memory, as a call that XLA makes on a CPU.
//
// Same numbers as there: sums of a finite array whose squares can be held are taken at once; any other array is read
// again, in double precision.

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

#define SUMS_OF(T, Name)                                                                \
  FOR_EACH_PROCESSOR static void Name(const T* x, int64_t n, Sums* found) {             \
    T lows[kLanes], highs[kLanes];                                                      \
    for (int j = 0; j < kLanes; ++j) lows[j] = kInfinity, highs[j] = -kInfinity;        \
    const int64_t whole = n - n % kLanes;                                               \
    for (int64_t i = 0; i < whole;) {                                                   \
      const int64_t end = std::min(i + kBlock, whole);                                  \
      T sum[kLanes] = {0}, square[kLanes] = {0}, zeros[kLanes] = {0};                   \
      for (; i < end; i += kLanes) {                                                    \
        for (int j = 0; j < kLanes; ++j) {                                              \
          const T v = x[i + j];                                                         \
          sum[j] += v;                                                                  \
          square[j] += v * v;                                                           \
          zeros[j] += v == 0 ? T(1) : T(0);                                             \
          lows[j] = v < lows[j] ? v : lows[j];                                          \
          highs[j] = v > highs[j] ? v : highs[j];                                       \
        }                                                                               \
      }                                                                                 \
      for (int j = 0; j < kLanes; ++j) {                                                \
        found->sum += sum[j], found->square += square[j], found->zeros += zeros[j];     \
      }                                                                                 \
    }                                                                                   \
    for (int64_t i = whole; i < n; ++i) {                                               \
      const T v = x[i];                                                                 \
      found->sum += v, found->square += double(v) * v, found->zeros += v == 0;          \
      lows[0] = v < lows[0] ? v : lows[0], highs[0] = v > highs[0] ? v : highs[0];      \
    }                                                                                   \
    found->low = *std::min_element(lows, lows + kLanes);                                \
    found->high = *std::max_element(highs, highs + kLanes);                             \
  }

SUMS_OF(float, SumsOfFloats)
SUMS_OF(double, SumsOfDoubles)
static void SumsOf(const float* x, int64_t n, Sums* found) { SumsOfFloats(x, n, found); }
static void SumsOf(const double* x, int64_t n, Sums* found) { SumsOfDoubles(x, n, found); }

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

template <typename T>
static void Carefully(const T* x, int64_t n, const Sums& known, T* row) {
  const double peak = std::max(std::fabs(known.low), std::fabs(known.high));
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

template <typename T>
static void Measure(const T* x, int64_t n, T* row) {
  Sums found;
  SumsOf(x, n, &found);
  const double mean = found.sum / n, square = found.square / n, variance = square - mean * mean;
  const double peak = std::max(std::fabs(found.low), std::fabs(found.high));
  const bool held = std::isfinite(square) && peak < kLargest && peak > 1 / kLargest && mean * mean <= kSteepest * variance;
  if (!held && !(peak == 0 && square == 0)) return Carefully(x, n, found, row);
  row[0] = T(std::sqrt(square)), row[1] = T(mean), row[2] = T(std::sqrt(variance));
  row[3] = T(found.low), row[4] = T(found.high), row[5] = T(found.zeros / n), row[6] = T(0);
}

// Tables of shape (..., rows, entries), each reduced along its rows into (..., rows of all of them, 7).
template <ffi::DataType kType>
static ffi::Error Statistics(ffi::RemainingArgs tables, ffi::Result<ffi::Buffer<kType>> out) {
  const auto shape = out->dimensions();
  const int64_t together = shape[shape.size() - 2];
  int64_t before = 0;
  for (size_t k = 0; k < tables.size(); ++k) {
    const auto table = tables.get<ffi::Buffer<kType>>(k);
    if (table.has_error()) return table.error();
    const auto own = table->dimensions();
    const int64_t n = own[own.size() - 1], rows = own[own.size() - 2];
    const int64_t batch = n && rows ? int64_t(table->element_count()) / (n * rows) : 0;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t r = 0; r < rows; ++r) {
        Measure(table->typed_data() + (b * rows + r) * n, n, out->typed_data() + (b * together + before + r) * kWidth);
      }
    }
    before += rows;
  }
  return ffi::Error::Success();
}

#define STATISTICS(Name, kType)            \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(           \
      Name, Statistics<kType>, ffi::Ffi::Bind().RemainingArgs().Ret<ffi::Buffer<kType>>())

STATISTICS(StatisticsOfFloats, ffi::F32);
STATISTICS(StatisticsOfDoubles, ffi::F64);
