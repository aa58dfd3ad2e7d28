#pragma once

#include <pqxx/pqxx>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

/// The columns ItemOf reads, of `dataset_items i JOIN dataset_classes c`.
inline constexpr char kItemColumns[] =
    "i.ordinal, i.sample_id, i.sha256, c.class_name, i.split, i.weight, i.label_id, "
    "i.label_confidence";

Result<DatasetItem> ItemOf(const pqxx::row& row);

}  // namespace tidewheel::curation
