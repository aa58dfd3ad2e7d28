#include "tidewheel/model_registry/app.h"

#include <array>
#include <string>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/model_registry/declaration/declare.h"
#include "tidewheel/model_registry/migrations.h"
#include "tidewheel/postgres/bootstrap.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::model_registry {
namespace {

constexpr char kSchema[] = "registry";

}  // namespace

Result<void> Migrate(const Config& config) {
  if (!config.storage.migrating()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  if (const auto made = postgres::Bootstrap(config.storage.admin_dsn); !made) return made;
  if (const auto made = bus::MigratePostgresBus(config.storage.admin_dsn); !made) return made;
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config), pool_(service::PoolOptionsOf(config.storage, kSchema, "model-registry")) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  const std::array<std::string, 1> topics{"tidewheel.models"};
  auto broker = service::OpenBus(config_.bus, "model-registry", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);

  packages_.emplace(*payloads_);
  model_catalog_.emplace(models_, tasks_, reviews_, *packages_, clock_, &blob::Sha256);
  handler_.emplace(task_catalog_, *model_catalog_, review_catalog_, models_, audit_, &Declare);
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "model_registry");

  return endpoints_.Open(config_.endpoints, {&*handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::model_registry
