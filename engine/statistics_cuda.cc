// Launches the kernels of engine/statistics.cu as a call that XLA makes on an NVIDIA GPU. CUDA's driver is looked up
// when the kernels are loaded, so no part of CUDA is needed to compile this.

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "statistics_cuda.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

typedef void* Handle;

static struct {
  int (*LibraryLoadData)(Handle*, const void*, Handle, Handle, unsigned, Handle, Handle, unsigned);
  int (*LibraryGetKernel)(Handle*, Handle, const char*);
  int (*LaunchKernel)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void**,
                      void**);
  Handle measure, finish;
} cuda;

template <typename Function>
static bool Found(Handle driver, const char* name, Function* function) {
  return (*function = reinterpret_cast<Function>(dlsym(driver, name))) != nullptr;
}

// Loads the kernels, as they were compiled for the GPU that is here; 0 if that went well, -1 without a driver that can,
// else the driver's own number for what went wrong.
extern "C" int Load(const char* driver, const void* image) {
  Handle opened = dlopen(driver, RTLD_NOW), library = nullptr;
  if (!opened || !Found(opened, "cuLibraryLoadData", &cuda.LibraryLoadData) ||
      !Found(opened, "cuLibraryGetKernel", &cuda.LibraryGetKernel) ||
      !Found(opened, "cuLaunchKernel", &cuda.LaunchKernel)) {
    return -1;
  }
  int failed = cuda.LibraryLoadData(&library, image, nullptr, nullptr, 0, nullptr, nullptr, 0);
  if (!failed) failed = cuda.LibraryGetKernel(&cuda.measure, library, "Measure");
  return failed ? failed : cuda.LibraryGetKernel(&cuda.finish, library, "Finish");
}

static ffi::Error Run(Handle kernel, unsigned blocks, Handle stream, Launch* launch) {
  void* arguments[] = {launch};
  const int failed = blocks ? cuda.LaunchKernel(kernel, blocks, 1, 1, kThreads, 1, 1, 0, stream, arguments, nullptr) : 0;
  return failed ? ffi::Error::Internal("CUDA can't launch the statistics' kernel: error " + std::to_string(failed))
                : ffi::Error::Success();
}

// As engine/statistics.cc has it. The scratch has a place for each row that several blocks share, and for each tile of
// these; engine.kernel counts them.
static ffi::Error Statistics(Handle stream, ffi::Span<const int64_t> terms, ffi::Span<const int64_t> rows,
                             ffi::Span<const int64_t> joined, ffi::RemainingArgs arrays,
                             ffi::Result<ffi::Buffer<ffi::F32>> out, ffi::Result<ffi::Buffer<ffi::U8>> scratch) {
  const auto shape = out->dimensions();
  Launch launch{};
  launch.together = unsigned(shape[shape.size() - 2]);
  launch.examples = launch.together ? unsigned(out->element_count() / (launch.together * kWidth)) : 0;
  if (!launch.examples) return ffi::Error::Success();
  launch.out = out->typed_data();

  // Two walks: rows that are shared come first in the scratch, and how many there are is known after the first walk.
  unsigned wide = 0, partial = 0, blocks = 0, before = 0, used = 0;
  for (const bool launching : {false, true}) {
    if (launching) {
      if (wide * sizeof(Wide) + partial * sizeof(Sums) > scratch->element_count()) {
        return ffi::Error::InvalidArgument("the scratch is too small");
      }
      launch.wide = reinterpret_cast<Wide*>(scratch->typed_data());
      launch.partial = reinterpret_cast<Sums*>(launch.wide + wide);
    }
    wide = partial = before = 0;
    for (size_t k = 0, next = 0; k < terms.size(); ++k) {
      if (terms[k] < 1 || terms[k] > kTerms) return ffi::Error::InvalidArgument("1 to 4 terms are taken");
      const bool parts = k == 0 && joined.size();
      Term term[kTerms];
      for (int64_t t = 0; t < terms[k]; ++t) {
        const auto array = arrays.get<ffi::Buffer<ffi::F32>>(next++);
        if (array.has_error()) return array.error();
        const Count apart = array->element_count() / launch.examples;
        term[t] = {array->typed_data(), parts ? 0 : apart / std::max<Count>(rows[k], 1), apart};
      }
      for (size_t each = 0; each < (parts ? joined.size() : 1); ++each) {
        Part part{};
        part.rows = parts ? 1 : unsigned(rows[k]);
        if (parts) term[0].length = joined[each];
        const Count length = term[0].length, all = Count(part.rows) * launch.examples;
        part.tiles = length > kShort ? unsigned((length + kTile - 1) / kTile) : 0;
        part.block = blocks, part.before = before, part.wide = wide, part.partial = partial;
        part.term = (unsigned short)used, part.terms = (unsigned short)terms[k];
        before += part.rows;
        if (part.tiles > 1) wide += unsigned(all), partial += unsigned(all * part.tiles);
        if (launching) {
          std::copy(term, term + part.terms, launch.term + used);
          launch.part[launch.parts++] = part, used += part.terms;
          blocks += unsigned(part.tiles ? all * part.tiles : (all + kThreads / kLanes - 1) / (kThreads / kLanes));
          if (launch.parts == kMostParts || used + kTerms > kMostTerms) {
            ffi::Error failed = Run(cuda.measure, blocks, stream, &launch);
            if (failed.failure()) return failed;
            launch.parts = used = blocks = 0;
          }
        }
        term[0].data += length;
      }
    }
  }
  ffi::Error failed = Run(cuda.measure, blocks, stream, &launch);
  return failed.failure() ? failed : Run(cuda.finish, wide, stream, &launch);
}

#ifdef WITHOUT_STREAM  // for a driver that computes on the CPU (tests/emulated_cuda.cc), whose calls have none
static ffi::Error StatisticsHere(ffi::Span<const int64_t> terms, ffi::Span<const int64_t> rows,
                                 ffi::Span<const int64_t> joined, ffi::RemainingArgs arrays,
                                 ffi::Result<ffi::Buffer<ffi::F32>> out, ffi::Result<ffi::Buffer<ffi::U8>> scratch) {
  return Statistics(nullptr, terms, rows, joined, arrays, out, scratch);
}
#define CALLED StatisticsHere, ffi::Ffi::Bind()
#else
#define CALLED Statistics, ffi::Ffi::Bind().Ctx<ffi::PlatformStream<Handle>>()
#endif

XLA_FFI_DEFINE_HANDLER_SYMBOL(StatisticsOnCuda, CALLED
                                  .Attr<ffi::Span<const int64_t>>("terms")
                                  .Attr<ffi::Span<const int64_t>>("rows")
                                  .Attr<ffi::Span<const int64_t>>("joined")
                                  .RemainingArgs()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::U8>>(),
                              {ffi::Traits::kCmdBufferCompatible});
