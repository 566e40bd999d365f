// A convolution and its two gradients by oneDNN, as one custom call of XLA: float32, images NHWC, kernels HWIO.
//
// The batch is shared out over XLA's own threads and oneDNN runs each share on one thread: a second pool of threads
// would compete with XLA's for the same cores.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using dnnl::memory;
using tag = memory::format_tag;

namespace {

// As in geometry.py: the order of ROLES, and of the numbers that onednn.py sends.
enum Role : int64_t { kImages, kKernel, kOutput };

struct Geometry {
  int64_t height, width, channels, out_height, out_width, features, window_height, window_width, stride_y, stride_x,
      padding_y, padding_x, dilation_y, dilation_x, groups;
};
constexpr size_t kNumbers = sizeof(Geometry) / sizeof(int64_t);

// Several shares, so that a thread that is held up leaves work to the others. But every share of a kernel's gradient
// fills a kernel of its own, which then have to be added.
int64_t SharesPerThread(Role wanted) { return wanted == kKernel ? 1 : 4; }

const dnnl::engine& Engine() {
  static const auto& engine = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc Describe(const memory::dims& sizes, tag layout) { return {sizes, memory::data_type::f32, layout}; }

memory::desc Images(int64_t batch, const Geometry& g) {
  return Describe({batch, g.channels, g.height, g.width}, tag::nhwc);
}

memory::desc Output(int64_t batch, const Geometry& g) {
  return Describe({batch, g.features, g.out_height, g.out_width}, tag::nhwc);
}

memory::desc Kernel(const Geometry& g, bool any_layout) {
  if (g.groups == 1)
    return Describe({g.features, g.channels, g.window_height, g.window_width}, any_layout ? tag::any : tag::hwio);
  return Describe({g.groups, g.features / g.groups, g.channels / g.groups, g.window_height, g.window_width},
                  any_layout ? tag::any : tag::hwigo);
}

// The code oneDNN generates for `batch` images.
struct Plan {
  dnnl::primitive primitive;
  memory::desc kernel, scratchpad;

  Plan(Role wanted, int64_t batch, const Geometry& g) {
    const auto images = Images(batch, g), kernel_ = Kernel(g, true), output = Output(batch, g);
    const memory::dims strides{g.stride_y, g.stride_x}, dilations{g.dilation_y - 1, g.dilation_x - 1},
        before{g.padding_y, g.padding_x},
        after{Missing(g.height, g.out_height, g.window_height, g.stride_y, g.padding_y, g.dilation_y),
              Missing(g.width, g.out_width, g.window_width, g.stride_x, g.padding_x, g.dilation_x)};
    dnnl::primitive_attr own_scratchpad;
    own_scratchpad.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(Engine(), dnnl::prop_kind::forward_training, algorithm,
                                                            images, kernel_, output, strides, dilations, before, after,
                                                            own_scratchpad);
    if (wanted == kOutput) {
      Keep(dnnl::convolution_forward(forward), forward.weights_desc(), forward.scratchpad_desc());
    } else if (wanted == kImages) {
      const dnnl::convolution_backward_data::primitive_desc backward(
          Engine(), algorithm, images, kernel_, output, strides, dilations, before, after, forward, own_scratchpad);
      Keep(dnnl::convolution_backward_data(backward), backward.weights_desc(), backward.scratchpad_desc());
    } else {
      const dnnl::convolution_backward_weights::primitive_desc backward(
          Engine(), algorithm, images, kernel_, output, strides, dilations, before, after, forward, own_scratchpad);
      Keep(dnnl::convolution_backward_weights(backward), backward.diff_weights_desc(), backward.scratchpad_desc());
    }
  }

 private:
  void Keep(dnnl::primitive of, memory::desc kernel_of, memory::desc scratchpad_of) {
    primitive = of;
    kernel = kernel_of;
    scratchpad = scratchpad_of;
  }

  // Padding at the end such that exactly `out` windows fit; negative where the last pixels lie in no window.
  static int64_t Missing(int64_t size, int64_t out, int64_t window, int64_t stride, int64_t padding, int64_t dilation) {
    return (out - 1) * stride + dilation * (window - 1) + 1 - size - padding;
  }
};

// Generated once for each geometry; never freed, as threads may still run it when the process ends.
const Plan& PlanFor(Role wanted, int64_t batch, const Geometry& g) {
  static auto& mutex = *new std::mutex;
  static auto& plans = *new std::map<std::vector<int64_t>, std::unique_ptr<const Plan>>;
  const auto* numbers = reinterpret_cast<const int64_t*>(&g);
  std::vector<int64_t> key(numbers, numbers + kNumbers);
  key.insert(key.end(), {wanted, batch, omp_get_max_threads()});
  const std::lock_guard<std::mutex> lock(mutex);
  auto& plan = plans[key];
  if (!plan) plan = std::make_unique<const Plan>(wanted, batch, g);
  return *plan;
}

using Floats = std::unique_ptr<float, decltype(&std::free)>;

Floats Allocate(size_t bytes) {
  constexpr size_t kAlignment = 64;
  const size_t whole = (bytes / kAlignment + 1) * kAlignment;
  auto* data = static_cast<float*>(std::aligned_alloc(kAlignment, whole));
  if (!data) throw std::bad_alloc();
  return Floats(data, &std::free);
}

void Reorder(memory from, memory to) {
  dnnl::stream stream(Engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

// How many threads oneDNN may use when called from this thread, as long as this lives.
class OneDNNThreads {
 public:
  explicit OneDNNThreads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~OneDNNThreads() { omp_set_num_threads(before_); }

 private:
  const int before_;
};

// Runs task(0) ... task(count - 1) on the pool and on this thread, which takes whatever nobody has begun: so it only
// ever waits for tasks that run, and no number of calls at once can wait for each other.
void ForEach(ffi::ThreadPool& pool, int64_t count, std::function<void(int64_t)> task) {
  struct Shared {
    std::function<void(int64_t)> task;
    int64_t count, done = 0;
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable finished;

    void Work() {
      for (int64_t i; (i = next++) < count;) {
        task(i);
        const std::lock_guard<std::mutex> lock(mutex);
        if (++done == count) finished.notify_all();
      }
    }
  };
  auto shared = std::make_shared<Shared>();  // outlives this call in tasks that start too late to find any work
  shared->task = std::move(task);
  shared->count = count;
  for (int64_t i = 1; i < count; ++i) pool.Schedule([shared] { shared->Work(); });
  shared->Work();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->finished.wait(lock, [&] { return shared->done == count; });
}

ffi::Error Convolve(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> first, ffi::Buffer<ffi::F32> second,
                    ffi::ResultBuffer<ffi::F32> result, int64_t wanted_role, ffi::Span<const int64_t> numbers) try {
  const auto wanted = static_cast<Role>(wanted_role);
  Geometry g;
  if (numbers.size() != kNumbers) return ffi::Error::InvalidArgument("geometry: wrong number of numbers");
  std::copy(numbers.begin(), numbers.end(), reinterpret_cast<int64_t*>(&g));
  float* const arrays[] = {wanted == kImages ? result->typed_data() : first.typed_data(),
                           wanted == kImages   ? first.typed_data()
                           : wanted == kKernel ? result->typed_data()
                                               : second.typed_data(),
                           wanted == kOutput ? result->typed_data() : second.typed_data()};
  const int64_t batch = (wanted == kImages ? second : first).dimensions()[0];
  if (batch == 0) {
    std::fill_n(result->typed_data(), result->element_count(), 0.0f);
    return ffi::Error::Success();
  }
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const bool too_few_images = batch < threads;
  const int64_t wished_shares = too_few_images ? 1 : threads * SharesPerThread(wanted);
  const int64_t share = (batch + wished_shares - 1) / wished_shares;
  const int64_t shares = (batch + share - 1) / share;
  const int threads_each = too_few_images ? threads : 1;

  // The last share may be smaller, and oneDNN may choose another layout of the kernel for it.
  const OneDNNThreads here(threads_each);
  const auto count_of = [&](int64_t i) { return std::min(share, batch - i * share); };
  std::vector<const Plan*> plans;
  std::vector<std::shared_ptr<float>> kernels;
  const memory plain_kernel(Kernel(g, false), Engine(), arrays[kKernel]);
  for (int64_t i = 0; i < shares; ++i) {
    plans.push_back(&PlanFor(wanted, count_of(i), g));
    if (wanted != kKernel && i > 0 && plans[i] == plans[i - 1]) {
      kernels.push_back(kernels.back());
      continue;
    }
    kernels.push_back(Allocate(plans[i]->kernel.get_size()));
    if (wanted != kKernel) Reorder(plain_kernel, memory(plans[i]->kernel, Engine(), kernels[i].get()));
  }

  std::atomic<bool> failed{false};
  ForEach(pool, shares, [&](int64_t i) {
    try {
      const OneDNNThreads here(threads_each);
      const Plan& plan = *plans[i];
      const Floats scratchpad = Allocate(plan.scratchpad.get_size());
      float* const images = arrays[kImages] + i * share * g.height * g.width * g.channels;
      float* const output = arrays[kOutput] + i * share * g.out_height * g.out_width * g.features;
      dnnl::stream stream(Engine());
      plan.primitive.execute(
          stream, {{wanted == kImages ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, {Images(count_of(i), g), Engine(), images}},
                   {wanted == kKernel ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
                    {plan.kernel, Engine(), kernels[i].get()}},
                   {wanted == kOutput ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, {Output(count_of(i), g), Engine(), output}},
                   {DNNL_ARG_SCRATCHPAD, {plan.scratchpad, Engine(), scratchpad.get()}}});
      stream.wait();
    } catch (const std::exception&) {
      failed = true;
    }
  });
  if (failed) return ffi::Error::Internal("oneDNN could not run a convolution");

  if (wanted == kKernel) {
    const size_t size = result->element_count();
    const Floats part = Allocate(size * sizeof(float));
    for (int64_t i = 0; i < shares; ++i) {
      Reorder(memory(plans[i]->kernel, Engine(), kernels[i].get()),
              memory(Kernel(g, false), Engine(), i == 0 ? arrays[kKernel] : part.get()));
      if (i > 0)
        std::transform(part.get(), part.get() + size, arrays[kKernel], arrays[kKernel], std::plus<float>());
    }
  }
  return ffi::Error::Success();
} catch (const std::exception& error) {
  return ffi::Error::Internal(error.what());
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxvision_convolution, Convolve,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .Attr<int64_t>("wanted")
                                  .Attr<ffi::Span<const int64_t>>("geometry"));
