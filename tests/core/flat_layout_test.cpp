#include "core/flat_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"

namespace rn {
namespace {

ParameterSpec vector_of(std::string name, std::int64_t size, int group = 0) {
  return {std::move(name), {size}, {1}, group};
}

std::vector<std::string> names_of(const FlatLayout& layout) {
  std::vector<std::string> names;
  for (const FlatEntry& entry : layout.entries()) names.push_back(entry.spec.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(FlatLayoutTest, EntriesLieInBackwardOrder) {
  const FlatLayout layout({vector_of("conv1", 32), vector_of("conv2", 32), vector_of("fc", 32)}, 1 << 20);
  EXPECT_EQ(names_of(layout), (Names{"fc", "conv2", "conv1"}));
  EXPECT_EQ(layout.entry("conv1").offset, 64);
}

TEST(FlatLayoutTest, GroupsAreSortedInsideABucketAndKeepBackwardOrderInsideAGroup) {
  const FlatLayout layout(
      {vector_of("w1", 16, 0), vector_of("b1", 16, 1), vector_of("w2", 16, 0), vector_of("b2", 16, 1)},
      1 << 20);
  EXPECT_EQ(names_of(layout), (Names{"w2", "w1", "b2", "b1"}));
  EXPECT_EQ(layout.group_slices(0), (std::vector<Slice>{{0, 32}}));
  EXPECT_EQ(layout.group_slices(1), (std::vector<Slice>{{32, 32}}));
  EXPECT_EQ(layout.group_count(), 2);
  EXPECT_TRUE(layout.group_slices(2).empty());
}

TEST(FlatLayoutTest, ABucketClosesBeforeTheEntryThatWouldLiftItAboveTheCap) {
  const FlatLayout layout({vector_of("a", 2000), vector_of("b", 1024), vector_of("c", 1024)}, 2048);
  ASSERT_EQ(layout.buckets().size(), 2u);
  EXPECT_EQ(layout.entry("c").bucket, 0);
  EXPECT_EQ(layout.entry("b").bucket, 0);  // 2048 is not above the cap
  EXPECT_EQ(layout.entry("a").bucket, 1);
  EXPECT_EQ(layout.buckets()[1], (Slice{2048, 2048}));
  EXPECT_EQ(layout.size(), 4096);
  EXPECT_EQ(layout.numel(), 4048);
}

TEST(FlatLayoutTest, AnEntryAboveTheCapIsABucketOfItsOwn) {
  const FlatLayout layout({vector_of("small1", 16), vector_of("huge", 5000), vector_of("small2", 16)}, 1024);
  ASSERT_EQ(layout.buckets().size(), 3u);
  EXPECT_EQ(layout.buckets()[1], (Slice{1024, 5120}));
  EXPECT_EQ(layout.entry("huge").bucket, 1);
}

TEST(FlatLayoutTest, GroupSlicesHoldInnerPaddingAndLeaveOutTheOuter) {
  const FlatLayout layout({vector_of("w1", 5, 0), vector_of("w2", 7, 0), vector_of("b", 3, 1)}, 1 << 20);
  EXPECT_EQ(layout.group_slices(0), (std::vector<Slice>{{0, 16 + 5}}));
  EXPECT_EQ(layout.group_slices(1), (std::vector<Slice>{{32, 3}}));
}

TEST(FlatLayoutTest, AGroupSliceNeverCrossesABucket) {
  const FlatLayout layout({vector_of("a", 1024), vector_of("b", 1024)}, 1024);
  EXPECT_EQ(layout.group_slices(0), (std::vector<Slice>{{0, 1024}, {1024, 1024}}));
}

TEST(FlatLayoutTest, TheEmptyLayoutHasNoBucketsAndSizeZero) {
  const FlatLayout layout({}, 1);
  EXPECT_EQ(layout.size(), 0);
  EXPECT_TRUE(layout.buckets().empty());
  EXPECT_EQ(layout.group_count(), 0);
}

TEST(FlatLayoutTest, ScalarsAndMissingStridesAreUnderstood) {
  const FlatLayout layout({{"scale", {}, {}, 0}, {"weight", {4, 3, 2}, {}, 0}}, 1024);
  EXPECT_EQ(layout.entry("scale").numel, 1);
  EXPECT_EQ(layout.entry("weight").spec.strides, (std::vector<std::int64_t>{6, 2, 1}));
}

TEST(FlatLayoutTest, RefusesWhatIsNoParameter) {
  const auto layout_of = [](ParameterSpec spec) { return FlatLayout({std::move(spec)}, 1024); };
  EXPECT_THROW(layout_of({"gap", {2, 3}, {4, 1}, 0}), InternalError);
  EXPECT_THROW(layout_of({"overlap", {2, 3}, {1, 1}, 0}), InternalError);
  EXPECT_THROW(layout_of({"rank", {2, 3}, {1}, 0}), InternalError);
  EXPECT_THROW(layout_of({"negative", {-1}, {1}, 0}), InternalError);
  EXPECT_THROW(layout_of({"group", {1}, {1}, -1}), InternalError);
  EXPECT_THROW(layout_of({"huge", {1LL << 40, 1LL << 40}, {}, 0}), InternalError);
  EXPECT_THROW(FlatLayout({vector_of("a", 1)}, 0), InternalError);
  EXPECT_THROW(FlatLayout({vector_of("a", 1), vector_of("a", 1)}, 16), InternalError);
  EXPECT_THROW(FlatLayout({vector_of("a", 1)}, 16).entry("b"), InternalError);
  EXPECT_NO_THROW(layout_of({"channels_last", {8, 3, 3, 3}, {27, 1, 9, 3}, 0}));
  EXPECT_NO_THROW(
      layout_of({"ones", {8, 1, 1}, {1, 77, 5}, 0}));  // strides of size-1 dimensions do not matter
}

TEST(FlatLayoutTest, TheFingerprintSeesEveryPropertyOfTheLayout) {
  const std::vector<ParameterSpec> base = {
      {"w", {8, 3, 2, 2}, {12, 4, 2, 1}, 0}, vector_of("b", 8, 1), vector_of("v", 8, 1)};
  const std::uint64_t expected = FlatLayout(base, 4096).fingerprint();
  EXPECT_EQ(FlatLayout(base, 4096).fingerprint(), expected);

  auto renamed = base, reshaped = base, channels_last = base, regrouped = base, reordered = base;
  renamed[0].name = "u";
  reshaped[0].shape = {8, 2, 3, 2};
  reshaped[0].strides = {};
  channels_last[0].strides = {12, 1, 6, 3};
  regrouped[1].group = 0;
  std::swap(reordered[1], reordered[2]);
  EXPECT_NE(FlatLayout(renamed, 4096).fingerprint(), expected);
  EXPECT_NE(FlatLayout(reshaped, 4096).fingerprint(), expected);
  EXPECT_NE(FlatLayout(channels_last, 4096).fingerprint(), expected);
  EXPECT_NE(FlatLayout(regrouped, 4096).fingerprint(), expected);
  EXPECT_NE(FlatLayout(reordered, 4096).fingerprint(), expected);
  EXPECT_NE(FlatLayout(base, 16).fingerprint(), expected);  // two buckets
}

// For random models: what every user of a layout relies on.
TEST(FlatLayoutTest, RandomLayoutsKeepTheirInvariants) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
    std::vector<ParameterSpec> specs(random.below(40) + 1);
    std::int64_t total = 0;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      specs[i] =
          vector_of("p" + std::to_string(i), random.below(3000) + 1, static_cast<int>(random.below(3)));
      total += specs[i].shape[0];
    }
    const std::int64_t cap = random.below(8000) + 1;
    const FlatLayout layout(specs, cap);

    EXPECT_EQ(layout.numel(), total);
    ASSERT_EQ(layout.entries().size(), specs.size());
    std::int64_t end_of_last = 0;
    for (std::size_t i = 0; i < layout.entries().size(); ++i) {
      const FlatEntry& entry = layout.entries()[i];
      const Slice bucket = layout.buckets()[static_cast<std::size_t>(entry.bucket)];
      EXPECT_EQ(entry.offset % FlatLayout::kEntryAlignment, 0);
      EXPECT_GE(entry.offset, end_of_last);
      EXPECT_GE(entry.offset, bucket.offset);
      EXPECT_LE(entry.offset + entry.numel, bucket.offset + bucket.size);
      EXPECT_EQ(&layout.entry(entry.spec.name), &entry);
      end_of_last = entry.offset + entry.numel;
    }
    std::int64_t covered = 0;
    for (std::size_t b = 0; b < layout.buckets().size(); ++b) {
      const Slice bucket = layout.buckets()[b];
      EXPECT_EQ(bucket.offset, covered);
      EXPECT_EQ(bucket.offset % FlatLayout::kBucketAlignment, 0);
      covered += bucket.size;
      std::int64_t filled = 0, count = 0;
      for (const FlatEntry& entry : layout.entries()) {
        if (entry.bucket != static_cast<int>(b)) continue;
        filled += (entry.numel + FlatLayout::kEntryAlignment - 1) / FlatLayout::kEntryAlignment *
                  FlatLayout::kEntryAlignment;
        ++count;
      }
      EXPECT_TRUE(filled <= cap || count == 1) << "bucket " << b << " holds " << filled << " of " << cap;
    }
    EXPECT_EQ(covered, layout.size());
    // Each element of an entry is in exactly one slice, the one of its group.
    std::int64_t in_slices = 0;
    for (int group = 0; group < layout.group_count(); ++group) {
      for (const Slice slice : layout.group_slices(group)) {
        for (const FlatEntry& entry : layout.entries()) {
          const bool inside =
              entry.offset >= slice.offset && entry.offset + entry.numel <= slice.offset + slice.size;
          const bool apart =
              entry.offset >= slice.offset + slice.size || entry.offset + entry.numel <= slice.offset;
          EXPECT_TRUE(inside || apart);
          if (inside) {
            EXPECT_EQ(entry.spec.group, group);
            in_slices += entry.numel;
          }
        }
      }
    }
    EXPECT_EQ(in_slices, total);
  }
}

}  // namespace
}  // namespace rn
