// Asks the services every few seconds and shows what changed.

import {listen} from "./actions.js";
import {read} from "./api.js";
import * as loop from "./cycles.js";
import {el, replaceContent} from "./dom.js";
import {count, number} from "./format.js";
import * as views from "./views.js";

const kEvery = 3_000;
const kDetailedTasks = 8;

const body = (name) => document.querySelector(`[data-section="${name}"]`);
const shown = new Map();  // Section -> the JSON it shows.

/** Builds a section anew only when its data has changed: the page stays still while nothing happens. */
function show(name, parent, data, build) {
  // Times are shown as "3 min ago": once a minute everything is built anew.
  const text = JSON.stringify([Math.floor(Date.now() / 60_000), data]);
  if (shown.get(name) === text) return;
  shown.set(name, text);
  replaceContent(parent, build());
}

const filter = document.getElementById("task-filter");

/** The cycle that the address names: "#cycle/ID". */
function shownCycle() {
  const named = /^#cycle\/([^/]+)$/.exec(location.hash);
  try {
    return named ? decodeURIComponent(named[1]) : "";
  } catch {
    return "";
  }
}

async function refresh() {
  const cycleId = shownCycle();
  document.documentElement.dataset.view = cycleId === "" ? "overview" : "cycle";
  if (cycleId !== "") return refreshCycle(cycleId);
  const task = filter.value;
  const [status, tasks, deployments, datasets, runs, models, summaries, alerts, cycles, decisions] = await Promise.all([
    read("console", "GetPlatformStatus"),
    read("model-registry", "ListTasks", {page_size: 100}),
    read("model-registry", "ListDeployments", {page_size: 100}),
    read("curation", "ListDatasetVersions", {task, page_size: 10}),
    read("training", "ListRuns", {task, page_size: 15}),
    read("model-registry", "ListModelVersions", {task, page_size: 15}),
    read("monitoring", "ListModelSummaries", {task, page_size: 100}),
    read("monitoring", "ListAlerts", {task, page_size: 15}),
    read("training", "ListCycles", {task, page_size: 15}),
    read("training", "ListDecisions", {task, page_size: 50}),
  ]);
  const allTasks = tasks.value?.tasks ?? [];
  const shownTasks = allTasks.filter((entry) => task === "" || entry.spec.name === task).slice(0, kDetailedTasks);
  const details = new Map(await Promise.all(shownTasks.map(async (entry) => {
    const name = entry.spec.name;
    const [counts, samples] = await Promise.all([
      read("ingestion", "GetSampleCounts", {task: name}),
      read("ingestion", "ListSamples", {task: name, page_size: 12}),
    ]);
    return [name, {counts, samples}];
  })));
  const deployed = deployments.value?.deployments ?? [];

  fillFilter(allTasks.map((entry) => entry.spec.name));
  showStatus(status);
  section("services", "console", status, (value) => views.services(value));
  section("tasks", "model-registry", tasks, () => views.tasks(shownTasks, details, deployed), [shownTasks, [...details], deployed]);
  section("alerts", "monitoring", alerts, (value) => loop.alerts(value.alerts));
  section("cycles", "training", cycles, (value) => [loop.cycles(value.cycles), loop.decisions(decisions.value?.decisions ?? [])],
    [cycles.value, decisions.value]);
  section("datasets", "curation", datasets, (value) => views.datasets(value.dataset_versions));
  section("runs", "training", runs, (value) => views.runs(value.runs));
  section("models", "model-registry", models,
    (value) => views.models(value.model_versions, deployed, summaries.value?.summaries ?? []), [models.value, deployed, summaries.value]);
  showTiles({status, tasks, deployments, runs}, details, deployed, shownTasks);
}

const kNotAsked = {};
const askIf = (id, service, rpc, fields) => id ? read(service, rpc, fields) : kNotAsked;

async function refreshCycle(cycleId) {
  const [status, answer] = await Promise.all([read("console", "GetPlatformStatus"), read("training", "GetCycle", {cycle_id: cycleId})]);
  showStatus(status);
  const cycle = answer.value?.cycle;
  if (!cycle) {
    section("cycle", "training", answer, () => views.problem("training", "it told nothing of this cycle"));
    return;
  }
  const model = (id) => askIf(id, "model-registry", "GetModelVersion", {model_version_id: id});
  const [alert, batch, queue, dataset, run, baseline, candidate, signOffs, all] = await Promise.all([
    askIf(cycle.alert_id, "monitoring", "GetAlert", {alert_id: cycle.alert_id}),
    askIf(cycle.batch_id, "labeling", "GetBatch", {batch_id: cycle.batch_id}),
    askIf(cycle.batch_id, "labeling", "ListQueue", {batch_id: cycle.batch_id, page_size: 100}),
    askIf(cycle.dataset_version_id, "curation", "GetDatasetVersion", {dataset_version_id: cycle.dataset_version_id}),
    askIf(cycle.run_id, "training", "GetRun", {run_id: cycle.run_id}),
    model(cycle.baseline_model_version_id),
    model(cycle.candidate_model_version_id),
    askIf(cycle.candidate_model_version_id, "model-registry", "ListSignOffs", {model_version_id: cycle.candidate_model_version_id}),
    askIf(cycle.candidate_model_version_id, "monitoring", "ListComparisons", {task: cycle.task, page_size: 100}),
  ]);
  const comparisons = all.value
    ? {value: {comparisons: all.value.comparisons.filter((entry) => entry.candidate_model_version_id === cycle.candidate_model_version_id)}} : all;
  const votes = await votesOf(cycle.task, (queue.value?.items ?? []).slice(0, loop.kShownSamples));
  const titleOf = (found) => found.value?.model_version && `${found.value.model_version.task}@${found.value.model_version.version}`;
  const facts = {alert, batch, queue, dataset, run, signOffs, comparisons, votes, baseline: titleOf(baseline), candidate: titleOf(candidate)};
  section("cycle", "training", answer, () => loop.cyclePage(cycle, facts), [cycle, facts, [...votes]]);
}

const knownVotes = new Map();  // Sample id -> {count, votes}.

/** Votes by sample; asked again only of samples that got more. */
async function votesOf(task, items) {
  const stale = items.filter((item) => item.votes > 0 && knownVotes.get(item.sample_id)?.count !== item.votes);
  await Promise.all(stale.map(async (item) => {
    const answer = await read("labeling", "ListVotes", {task, sample_id: item.sample_id, page_size: 10});
    if (answer.value) knownVotes.set(item.sample_id, {count: item.votes, votes: answer.value.votes});
  }));
  return new Map(items.map((item) => [item.sample_id, knownVotes.get(item.sample_id)?.votes ?? []]));
}

function section(name, service, answer, build, data = answer.value) {
  if (answer.problem) {
    show(name, body(name), {problem: answer.problem}, () => views.problem(service, answer.problem));
  } else {
    show(name, body(name), data, () => build(answer.value));
  }
}

function showStatus(status) {
  const summary = document.getElementById("summary");
  summary.classList.toggle("warn", Boolean(status.problem) || status.value.services.some((service) => service.health !== "HEALTH_SERVING"));
  if (status.problem) {
    setText(summary, status.problem);
    return;
  }
  const bad = status.value.services.filter((service) => service.health !== "HEALTH_SERVING").map((service) => service.name);
  setText(summary, bad.length === 0 ? `All ${status.value.services.length} services are serving.`
    : `${bad.length} of ${status.value.services.length} services ${bad.length === 1 ? "does" : "do"} not serve: ${bad.join(", ")}.`);
  setText(document.getElementById("build"),
    `Version ${status.value.version}, commit ${status.value.commit.slice(0, 12)}${status.value.clean ? "" : " (changed tree)"}`);
}

// Only when it differs: a live region would be read out again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What a service did not tell is not zero.
const kUnknown = "–";

function showTiles(answers, details, deployed, tasks) {
  const counts = [...details.values()].map((detail) => detail.counts);
  const known = answers.tasks.value && counts.every((entry) => entry.value);
  const total = (field) => known ? count(counts.reduce((sum, entry) => sum + number(entry.value[field]), 0)) : kUnknown;
  const services = answers.status.value?.services;
  const active = answers.runs.value?.runs.filter((run) => run.state === "RUN_STATE_RUNNING" || run.state === "RUN_STATE_QUEUED");
  const serving = deployed.filter((entry) => tasks.some((task) => task.spec.name === entry.task));
  const facts = [
    ["services serving", services
      ? `${services.filter((service) => service.health === "HEALTH_SERVING").length}/${services.length}` : kUnknown],
    ["tasks", answers.tasks.value ? count(tasks.length) : kUnknown],
    ["active samples", total("active")],
    ["in quarantine", total("quarantined")],
    ["runs under way", active ? count(active.length) : kUnknown],
    ["models serving", answers.deployments.value && answers.tasks.value ? count(serving.length) : kUnknown],
  ];
  show("tiles", document.getElementById("tiles"), facts, () => views.tiles(facts));
}

function fillFilter(names) {
  const text = JSON.stringify(names);
  if (shown.get("filter") === text) return;
  shown.set("filter", text);
  const chosen = filter.value;
  filter.replaceChildren(el("option", {value: ""}, "All tasks"), ...names.map((name) => el("option", {value: name}, name)));
  filter.value = names.includes(chosen) ? chosen : "";
}

// Refreshing: never two at once, not while nobody looks, not while paused.

let paused = false;
let busy = false;
let again = false;

async function tick() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    do {
      again = false;
      await refresh();
    } while (again);
    document.documentElement.dataset.ready = "true";
  } finally {
    busy = false;
  }
}

setInterval(() => {
  if (!paused && !document.hidden) tick();
}, kEvery);
filter.addEventListener("change", tick);
window.addEventListener("hashchange", async () => {
  await tick();
  // Sections that were hidden when the address changed are there now.
  if (shownCycle() === "") document.getElementById(location.hash.slice(1))?.scrollIntoView();
  else document.getElementById("main").focus();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) tick();
});

const pause = document.getElementById("pause");
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Paused" : "Pause";
  if (!paused) tick();
});

// Theme: as the system has it, unless chosen otherwise.

const kThemes = ["auto", "light", "dark"];
const theme = document.getElementById("theme");
function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.textContent = `Theme: ${name}`;
  localStorage.setItem("theme", name);
}
theme.addEventListener("click", () => {
  const now = localStorage.getItem("theme") ?? "auto";
  setTheme(kThemes[(kThemes.indexOf(now) + 1) % kThemes.length]);
});
setTheme(kThemes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("dialog") || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "p") pause.click();
  if (event.key === "t") theme.click();
});

listen(tick);
tick();
