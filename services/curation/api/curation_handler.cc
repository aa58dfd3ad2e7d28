#include "tidewheel/curation/api/curation_handler.h"

#include <charconv>
#include <optional>
#include <string>

#include "tidewheel/curation/api/convert.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::curation {
namespace {

Result<DatasetVersion> FindVersion(DatasetStore& store,
                                   const v1::GetDatasetVersionRequest& request) {
  switch (request.by_case()) {
    case v1::GetDatasetVersionRequest::kDatasetVersionId:
      return store.Find(DatasetVersionId(request.dataset_version_id()));
    case v1::GetDatasetVersionRequest::kDigest: {
      const auto digest = Digest::FromHex(request.digest());
      if (!digest) return Prefixed("digest: ", digest.error());
      return store.FindByDigest(*digest);
    }
    case v1::GetDatasetVersionRequest::kName:
      if (request.name().task().empty()) {
        return Error{ErrorCode::kInvalidArgument, "name.task is empty"};
      }
      return store.FindByName(request.name().task(), request.name().version());
    case v1::GetDatasetVersionRequest::BY_NOT_SET:
      break;
  }
  return Error{ErrorCode::kInvalidArgument, "give dataset_version_id, digest or name"};
}

/// "2026-11-22T10:00:00.000000Z <id>".
std::string CursorText(const DatasetVersion& version) {
  return FormatUtc(version.built_at) + " " + version.dataset_version_id.text();
}

Result<std::optional<VersionCursor>> CursorOf(const std::string& text) {
  if (text.empty()) return std::optional<VersionCursor>();
  const std::size_t space = text.find(' ');
  const auto built_at = ParseUtc(text.substr(0, space));
  if (!built_at || space == std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, "page_token is damaged"};
  }
  return std::optional(VersionCursor{
      .built_at = *built_at, .dataset_version_id = DatasetVersionId(text.substr(space + 1))});
}

}  // namespace

grpc::Status CurationHandler::BuildDatasetVersion(grpc::ServerContext* /*context*/,
                                                  const v1::BuildDatasetVersionRequest* request,
                                                  v1::BuildDatasetVersionResponse* response) {
  const auto recipe = FromProto(request->recipe());
  if (!recipe) return rpc::ToGrpcStatus(recipe.error());

  const auto outcome =
      builder_.Build(*recipe, request->description(), request->actor(), request->request_id());
  if (!outcome) return rpc::ToGrpcStatus(outcome.error());

  *response->mutable_dataset_version() = ToProto(outcome->version);
  response->set_created(outcome->created);
  return grpc::Status::OK;
}

grpc::Status CurationHandler::GetDatasetVersion(grpc::ServerContext* /*context*/,
                                                const v1::GetDatasetVersionRequest* request,
                                                v1::GetDatasetVersionResponse* response) {
  const auto version = FindVersion(store_, *request);
  if (!version) return rpc::ToGrpcStatus(version.error());

  *response->mutable_dataset_version() = ToProto(*version);
  return grpc::Status::OK;
}

grpc::Status CurationHandler::ListDatasetVersions(grpc::ServerContext* /*context*/,
                                                  const v1::ListDatasetVersionsRequest* request,
                                                  v1::ListDatasetVersionsResponse* response) {
  const std::string filter = "versions\n" + request->task();
  const auto page = rpc::ReadPage(request->page_size(), request->page_token(), filter);
  if (!page) return rpc::ToGrpcStatus(page.error());
  const auto cursor = CursorOf(page->cursor);
  if (!cursor) return rpc::ToGrpcStatus(cursor.error());

  // One more than asked for tells whether there is a next page.
  auto versions = store_.List({request->task()}, *cursor, page->size + 1);
  if (!versions) return rpc::ToGrpcStatus(versions.error());

  if (versions->size() > page->size) {
    versions->resize(page->size);
    response->set_next_page_token(rpc::NextPageToken(filter, CursorText(versions->back())));
  }
  for (const DatasetVersion& version : *versions) {
    *response->add_dataset_versions() = ToProto(version);
  }
  return grpc::Status::OK;
}

grpc::Status CurationHandler::ListDatasetItems(grpc::ServerContext* /*context*/,
                                               const v1::ListDatasetItemsRequest* request,
                                               v1::ListDatasetItemsResponse* response) {
  ItemFilter filter{.dataset_version_id = DatasetVersionId(request->dataset_version_id()),
                    .split = {},
                    .class_name = request->class_name()};
  if (!request->split().empty()) {
    const auto split = ParseSplit(request->split());
    if (!split) return rpc::ToGrpcStatus(split.error());
    filter.split = *split;
  }
  const std::string bound = "items\n" + request->dataset_version_id() + "\n" + request->split() +
                            "\n" + request->class_name();
  const auto page = rpc::ReadPage(request->page_size(), request->page_token(), bound);
  if (!page) return rpc::ToGrpcStatus(page.error());
  std::uint64_t from = 0;  // A sealed token holds nothing but digits.
  std::from_chars(page->cursor.data(), page->cursor.data() + page->cursor.size(), from);

  auto items = store_.ListItems(filter, from, page->size + 1);
  if (!items) return rpc::ToGrpcStatus(items.error());

  if (items->size() > page->size) {
    response->set_next_page_token(rpc::NextPageToken(bound, std::to_string(items->back().ordinal)));
    items->resize(page->size);
  }
  for (const DatasetItem& item : *items) *response->add_items() = ToProto(item);
  return grpc::Status::OK;
}

}  // namespace tidewheel::curation
