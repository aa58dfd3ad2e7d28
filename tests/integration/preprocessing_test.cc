#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>

#include "tidewheel/blob/store.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/preprocess.h"
#include "tidewheel/vision/preprocess_entries.h"
#include "tidewheel/vision/testing/real_pictures.h"

namespace tidewheel::tests {
namespace {

/// What a run's worker trains on, against what inference makes of the same bytes with the package's
/// entries.
TEST(PreprocessingTest, TrainingAndServingSeeTheSameBitsOnAllTrafficLights) {
  const auto data = vision::testing::FindDataFolder();
  if (!data) GTEST_SKIP() << "no data sets beside the checkout; set TIDEWHEEL_DATA";
  const auto pictures = vision::testing::TrafficLights(*data);
  ASSERT_TRUE(pictures.ok()) << pictures.error().message;
  ASSERT_EQ(pictures->size(), 1'484U);

  for (const vision::Resize resize : {vision::Resize::kStretch, vision::Resize::kFitPad}) {
    vision::PreprocessSpec spec;
    spec.width = 24;
    spec.height = 40;
    spec.resize = resize;
    spec.mean = {0.41, 0.43, 0.4};
    spec.std = {0.21, 0.23, 0.22};
    const testing::TempFolder folder;
    const auto store = blob::OpenFileStore(folder.path() / "payloads");
    ASSERT_TRUE(store.ok()) << store.error().message;
    training::v1::WorkerJob job;
    job.set_payloads_root((folder.path() / "payloads").string());
    job.set_items_file((folder.path() / "items").string());
    job.set_items(pictures->size());
    {
      std::ofstream file(job.items_file(), std::ios::binary);
      std::uint64_t place = 0;
      for (const auto& picture : *pictures) {
        const auto ref = (*store)->Put(picture.bytes);
        ASSERT_TRUE(ref.ok()) << ref.error().message;
        training::v1::WorkerItem item;
        item.set_payload_ref(ref->text());
        item.set_split(picture.split == "test" ? "test"
                       : place++ % 7 == 0      ? "validation"
                                               : "training");
        item.set_weight(1);
        google::protobuf::util::SerializeDelimitedToOstream(item, &file);
      }
    }
    training::ReportPipe nobody(-1);
    const auto prepared = training::PrepareData(job, spec, folder.path(), nobody, {});
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;

    // As a package carries it.
    const auto served = vision::FromEntries(vision::ToEntries(spec));
    ASSERT_TRUE(served.ok()) << served.error().message;
    std::size_t compared = 0;
    for (const auto* split : {&prepared->training, &prepared->validation, &prepared->test}) {
      const auto rows = split->rows();
      ASSERT_EQ(rows.type, ml::ElementType::kFloat32);
      for (std::size_t row = 0; row < split->ordinals.size(); ++row) {
        const auto& picture = (*pictures)[split->ordinals[row]];
        const auto image = vision::Decode(picture.bytes);
        ASSERT_TRUE(image.ok()) << picture.path;
        std::vector<float> serving(served->OutputSize());
        ASSERT_TRUE(vision::Preprocess(*image, *served, serving).ok());
        const std::size_t bytes = serving.size() * sizeof(float);
        ASSERT_EQ(std::memcmp(serving.data(), rows.elements.data() + row * bytes, bytes), 0)
            << picture.path;
        ++compared;
      }
    }
    EXPECT_EQ(compared, 1'484U);
  }
}

}  // namespace
}  // namespace tidewheel::tests
