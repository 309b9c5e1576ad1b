#include "gas/train/distance.h"

#include "gas/core/error.h"
#include "gas/metrics/ms_ssim.h"
#include "gas/models/self_embedding.h"
#include "gas/train/loss_text.h"

namespace gas {

// Embeddings by term and sample. Nothing is dropped for something new: training passes over all samples in
// turn, and would need the dropped one as soon.
class Distance::Cache {
 public:
  explicit Cache(uint64_t limit) : limit_(limit) {}

  // image [1,C,H,W]; `embed` is called with it unless its embedding is known.
  Tensor Get(size_t term, int64_t index, const Tensor& image,
             const std::function<Tensor(const Tensor&)>& embed) {
    const auto found = entries_.find({term, index});
    if (found != entries_.end() && found->second.image.equal(image)) return found->second.embedding;
    const Tensor embedding = embed(image);
    const uint64_t bytes = image.nbytes() + embedding.nbytes();
    if (found == entries_.end() && bytes <= limit_ - used_) {
      entries_[{term, index}] = {image, embedding};
      used_ += bytes;
    }
    return embedding;
  }

  uint64_t used() const { return used_; }

 private:
  struct Entry {
    Tensor image, embedding;
  };
  uint64_t limit_, used_ = 0;
  std::map<std::pair<size_t, int64_t>, Entry> entries_;
};

Distance::Distance(std::vector<DistanceTerm> terms, uint64_t cache_bytes, nlohmann::json source)
    : terms_(std::move(terms)), cache_(std::make_shared<Cache>(cache_bytes)), source_(std::move(source)) {
  GAS_ASSERT(!terms_.empty());
}

uint64_t Distance::cached_bytes() const { return cache_->used(); }

Tensor Distance::Targets(size_t term, const Tensor& teacher, const std::vector<int64_t>& indices) const {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < teacher.size(0); ++i) {
    // A copy, aligned like any other tensor: kernels may sum in another order from another address.
    const Tensor image = teacher.slice(0, i, i + 1).clone();
    const auto& embed = terms_[term].embedding;
    rows.push_back(indices.empty() ? embed(image) : cache_->Get(term, indices[i], image, embed));
  }
  return torch::cat(rows);
}

Tensor Distance::operator()(const Tensor& student, const Tensor& teacher,
                            const std::vector<int64_t>& indices) const {
  GAS_ASSERT(indices.empty() || static_cast<int64_t>(indices.size()) == teacher.size(0));
  Tensor sum;
  for (size_t i = 0; i < terms_.size(); ++i) {
    const DistanceTerm& t = terms_[i];
    const Tensor value = t.embedding
                             ? (t.embedding(student) - Targets(i, teacher, indices)).square().sum(1).mean()
                             : t.between(student, teacher);
    const Tensor weighted = t.weight == 1 ? value : t.weight * value;
    sum = sum.defined() ? sum + weighted : weighted;
  }
  return sum;
}

namespace {

Tensor MeanHuber(const Tensor& s, const Tensor& t) {
  return ((s - t).square() + kHuberDelta * kHuberDelta).sqrt().mean() - kHuberDelta;
}

// "lpips-vgg" and its siblings.
std::optional<TrunkKind> LpipsTrunkOf(const std::string& name) {
  for (const TrunkKind kind : {TrunkKind::kVgg16, TrunkKind::kAlexNet, TrunkKind::kSqueezeNet}) {
    if (name == "lpips-" + LpipsName(kind)) return kind;
  }
  return {};
}

DistanceTerm FeaturesTerm(const DistanceResources& resources) {
  GAS_CHECK(resources.features != nullptr, Errc::kBadOption,
            "train.loss = features needs a feature network for this model");
  const std::shared_ptr<FeatureNetwork> network = resources.features();
  network->To(resources.device);
  return {.between = {}, .embedding = [network](const Tensor& x) { return network->Embedding(x); }};
}

DistanceTerm SelfTerm(const DistanceResources& resources) {
  const std::shared_ptr<const EncoderFeatures> encoder = resources.encoder;
  GAS_CHECK(encoder != nullptr, Errc::kBadOption,
            "train.loss = self needs a model with an encoder, which this one does not show");
  return {.between = {}, .embedding = [encoder](const Tensor& x) { return SelfEmbedding(*encoder, x); }};
}

DistanceTerm LpipsTerm(const std::string& name, TrunkKind kind, const DistanceResources& resources,
                       nlohmann::json& source) {
  GAS_CHECK(!resources.lpips.trunk.empty(), Errc::kBadOption, "train.lpips_trunk names no file; ",
            LpipsFilesNeeded(kind));
  const LpipsModel model = ReadLpips(kind, resources.lpips);
  model.network->to(resources.device);
  source[name] = model.source;
  return {.between = {},
          .embedding = [network = model.network](const Tensor& x) { return network->Embedding(x); }};
}

// The term of decoded images; the gradient goes through the decoder.
DistanceTerm Decoded(DistanceTerm term, const std::shared_ptr<const ImageCodec>& codec) {
  if (codec == nullptr) return term;
  if (term.embedding) {
    term.embedding = [codec, of_images = term.embedding](const Tensor& x) {
      return of_images(codec->Decode(x));
    };
  }
  if (term.between) {
    term.between = [codec, of_images = term.between](const Tensor& student, const Tensor& teacher) {
      return of_images(codec->Decode(student), codec->Decode(teacher));
    };
  }
  return term;
}

DistanceTerm TermOf(const std::string& name, const DistanceResources& resources, nlohmann::json& source) {
  const auto between = [](auto function) { return DistanceTerm{.between = function, .embedding = {}}; };
  if (name == "l2") return between([](const Tensor& s, const Tensor& t) { return (s - t).square().mean(); });
  if (name == "l1") return between([](const Tensor& s, const Tensor& t) { return (s - t).abs().mean(); });
  if (name == "huber") return between(MeanHuber);
  if (name == "self") return SelfTerm(resources);
  if (name == "ms-ssim") {
    return Decoded(between([](const Tensor& s, const Tensor& t) { return 1 - MsSsim(s, t).mean(); }),
                   resources.codec);
  }
  if (name == "features") return Decoded(FeaturesTerm(resources), resources.codec);
  const std::optional<TrunkKind> kind = LpipsTrunkOf(name);
  GAS_ASSERT(kind.has_value());
  return Decoded(LpipsTerm(name, *kind, resources, source), resources.codec);
}

}  // namespace

std::vector<std::string> DistanceNames() {
  return {"l2", "l1", "huber", "features", "self", "ms-ssim", "lpips-vgg", "lpips-alex", "lpips-squeeze"};
}

Distance MakeDistance(const std::string& text, const DistanceResources& resources) {
  std::vector<DistanceTerm> terms;
  nlohmann::json source;
  for (const WeightedName& named : ParseLoss(text, DistanceNames())) {
    terms.push_back(TermOf(named.name, resources, source));
    terms.back().weight = named.weight;
  }
  return Distance(std::move(terms), resources.cache_bytes, std::move(source));
}

}  // namespace gas
