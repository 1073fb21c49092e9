// What the host hands to the kernels of engine/statistics.cu, as an argument by value: CUDA takes 4 KB of these anywhere.

#pragma once

typedef unsigned long long Count;

constexpr int kWidth = 7;        // rms, mean, std, min, max, zero fraction, count of NaN and infinities
constexpr int kThreads = 256;    // of a block
constexpr int kLanes = 32;       // threads that share a short row
constexpr Count kShort = 1024;   // entries of a short row, at most
constexpr Count kTile = 8192;    // entries that a block takes of a long one
constexpr int kTerms = 4;        // engine.kernel.TERMS
constexpr int kMostParts = 64;   // of a launch
constexpr int kMostTerms = 88;

// An array in memory, of which a row has so many entries, and what the examples of a vmap begin with lies so far apart.
struct Term {
  const float* data;
  Count length, apart;
};

// What is measured: an array, or the sum of some. Rows of each example come one below the other.
struct Part {
  unsigned block;          // the first of its blocks
  unsigned tiles;          // blocks that share a row; 0 where a block takes several rows
  unsigned rows;           // of each example
  unsigned before;         // rows of the example's table above it
  unsigned wide;           // the first of its rows among those that several blocks share
  unsigned partial;        // the first of its tiles among those of such rows
  unsigned short term, terms;
};

// Sums over some entries, of their distances from a number near them, in double precision: squares of single precision
// are within its range, and what two of them differ by isn't lost.
struct Sums {
  double sum, square;
  float low, high;
  Count zeros, nonfinite;
};

// A row that several blocks share.
struct Wide {
  Count length, row;
  unsigned partial, tiles;
  float near;
};

struct Launch {
  float* out;
  Wide* wide;
  Sums* partial;
  unsigned parts, examples, together;  // together: rows of an example's table
  Part part[kMostParts];
  Term term[kMostTerms];
};

static_assert(sizeof(Launch) <= 4096, "CUDA takes no more");
static_assert(kTile == 8192 && sizeof(Wide) == 32 && sizeof(Sums) == 40, "engine.kernel counts the scratch by these");
