// The seven statistics of engine/stats.py in one pass over memory, as two kernels for an NVIDIA GPU.
//
// Many arrays are measured by one launch, whatever their sizes: a block takes a tile of a long row, or some short rows.
// Rows of several tiles are put together by a launch at the end, in an order that is always the same.

#include "statistics_cuda.h"

__device__ static bool IsFinite(float v) { return v - v == 0; }

// NaN wins.
__device__ static float Least(float a, float b) { return b < a || b != b ? b : a; }
__device__ static float Most(float a, float b) { return b > a || b != b ? b : a; }

__device__ static Sums None() {
  const float infinity = __int_as_float(0x7f800000);
  return {0, 0, infinity, -infinity, 0, 0};
}

__device__ static void Join(Sums& a, const Sums& b) {
  a.sum += b.sum, a.square += b.square;
  a.low = Least(a.low, b.low), a.high = Most(a.high, b.high);
  a.zeros += b.zeros, a.nonfinite += b.nonfinite;
}

// Joins what so many threads in a row have found; the first of them gets it all.
__device__ static Sums Together(const Sums& mine, unsigned lanes) {
  __shared__ Sums all[kThreads];
  const unsigned lane = threadIdx.x % lanes;
  all[threadIdx.x] = mine;
  for (unsigned half = lanes / 2; half; half /= 2) {
    __syncthreads();
    if (lane < half) Join(all[threadIdx.x], all[threadIdx.x + half]);
  }
  return all[threadIdx.x];
}

__device__ static void Write(float* row, const Sums& sums, Count length, float near) {
  const double n = length, apart = sums.sum / n, mean = near + apart;
  const double variance = sums.square / n - apart * apart;
  if (sums.low == sums.high && !sums.nonfinite) {  // the same number everywhere
    row[0] = fabsf(sums.low), row[1] = sums.low, row[2] = 0;
  } else {
    const bool held = !sums.nonfinite || sums.low != sums.low;
    row[0] = held ? float(sqrt((variance < 0 ? 0 : variance) + mean * mean)) : __int_as_float(0x7f800000);
    row[1] = float(mean);
    row[2] = float(sqrt(variance < 0 ? 0 : variance));
  }
  row[3] = sums.low, row[4] = sums.high, row[5] = float(sums.zeros / n), row[6] = float(sums.nonfinite);
}

// One row of a part.
struct Row {
  const float* data[kTerms];
  Count length[kTerms];
  unsigned terms;

  // An entry: of a sum from the left, each addition rounded, as the step adds them.
  __device__ float operator[](Count i) const {
    float v = data[0][i];
#pragma unroll
    for (unsigned k = 1; k < kTerms; ++k) {
      if (k >= terms) break;
      const bool narrow = i >> 32 == 0 && length[k] >> 32 == 0;  // divided in a fraction of the time
      v = __fadd_rn(v, data[k][narrow ? unsigned(i) % unsigned(length[k]) : i % length[k]]);
    }
    return v;
  }
};

__device__ static Row RowOf(const Launch& launch, const Part& part, Count example, Count row) {
  Row found;
  found.terms = part.terms;
#pragma unroll
  for (unsigned k = 0; k < kTerms; ++k) {
    if (k >= part.terms) break;
    const Term& term = launch.term[part.term + k];
    found.data[k] = term.data + example * term.apart + row * term.length;
    found.length[k] = term.length;
  }
  return found;
}

// The part that a block belongs to: the last that begins with it or before it.
__device__ static unsigned PartOf(const Launch& launch, unsigned block) {
  unsigned low = 0, high = launch.parts;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (launch.part[middle].block <= block ? low : high) = middle;
  }
  return low;
}

extern "C" __global__ void Measure(const __grid_constant__ Launch launch) {
  const Part& part = launch.part[PartOf(launch, blockIdx.x)];
  const unsigned block = blockIdx.x - part.block, lanes = part.tiles ? kThreads : kLanes;
  const unsigned lane = threadIdx.x % lanes, tile = part.tiles ? block % part.tiles : 0;
  const Count place = part.tiles ? block / part.tiles : Count(block) * (kThreads / kLanes) + threadIdx.x / kLanes;
  const Count example = place / part.rows, row = place % part.rows;
  Sums mine = None();
  float near = 0;
  Count length = 0;
  if (example < launch.examples) {
    const Row entries = RowOf(launch, part, example, row);
    length = entries.length[0];
    const Count start = tile * kTile, end = part.tiles && start + kTile < length ? start + kTile : length;
    near = IsFinite(entries[0]) ? entries[0] : 0;
#pragma unroll 4
    for (Count i = start + lane; i < end; i += lanes) {
      const float v = entries[i];
      const double apart = double(v) - near;
      mine.sum += apart, mine.square += apart * apart;
      mine.low = Least(mine.low, v), mine.high = Most(mine.high, v);
      mine.zeros += v == 0, mine.nonfinite += !IsFinite(v);
    }
  }
  const Sums found = Together(mine, lanes);
  if (lane || example >= launch.examples) return;
  const Count out = example * launch.together + part.before + row;
  if (part.tiles < 2) return Write(launch.out + out * kWidth, found, length, near);
  const unsigned partial = unsigned(part.partial + place * part.tiles);
  launch.partial[partial + tile] = found;
  if (!tile) launch.wide[part.wide + place] = {length, out, partial, part.tiles, near};
}

extern "C" __global__ void Finish(const __grid_constant__ Launch launch) {
  const Wide wide = launch.wide[blockIdx.x];
  Sums mine = None();
  for (unsigned i = threadIdx.x; i < wide.tiles; i += kThreads) Join(mine, launch.partial[wide.partial + i]);
  const Sums found = Together(mine, kThreads);
  if (!threadIdx.x) Write(launch.out + wide.row * kWidth, found, wide.length, wide.near);
}
