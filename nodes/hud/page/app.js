// Auriga's live page: shows the pictures and states of the head-up display node, which come over one WebSocket, and
// acknowledges each, so that at most one of each is on its way.
import { COLOURS, Plot } from "./plot.js";

const $ = (id) => document.getElementById(id);
const plot = new Plot($("plot"));

/** Sets text only when it changed, so that screen readers do not repeat it. */
function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
function make(tag, className, content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (content !== undefined) element.textContent = content;
  return element;
}
/** Gives `list` one child for each item and updates each. */
function rows(list, items, create, update) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  while (list.children.length < items.length) list.append(create());
  items.forEach((item, i) => update(list.children[i], item, i));
}

const ms = (v) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2));
const percent = (v) => `${Math.round(v * 100)}%`;
const count = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${(n / 1e3).toFixed(0)}k` : String(n));
const mib = (bytes) => `${(bytes / 1048576).toFixed(0)} MB`;
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
function driveTime({ elapsed_s, duration_s }) {
  return duration_s ? `${clock(Math.min(elapsed_s, duration_s))} of ${clock(duration_s)}` : clock(elapsed_s);
}
function ago(s) {
  if (s < 2) return "now";
  return s < 90 ? `${Math.floor(s)} s ago` : s < 5400 ? `${Math.floor(s / 60)} min ago` : `${Math.floor(s / 3600)} h ago`;
}

// --- the picture
const picture = $("picture");
const context = picture.getContext("2d", { alpha: false });

async function showFrame(data) {
  const bitmap = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
  if (picture.width !== bitmap.width || picture.height !== bitmap.height) {
    picture.width = bitmap.width;
    picture.height = bitmap.height;
    $("screen").style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  $("veil").hidden = true;
}

// --- the state
function showState(s) {
  if (s.history) plot.restart(s.history);
  else plot.add(s.sample);
  showTop(s);
  showHud(s);
  showCompute(s.compute);
  showDialogue(s.dialogue);
  showChains(s.chains, s.report);
  showNodes(s.nodes);
  showFaults(s.faults);
}

function showTop({ drive, compute, dialogue }) {
  text($("drive-name"), drive ? drive.name : "no drive");
  text($("drive-time"), drive ? `${driveTime(drive)} · ${drive.vehicle}` : "");
  const track = drive?.transcript_track || dialogue.exchanges.at(-1)?.transcript_track;
  $("badge-transcript").hidden = !track;
  $("mode").dataset.mode = compute.mode;
  text($("mode-name"), compute.mode === "none" ? "no arbiter" : compute.mode);
  text($("mode-reason"), compute.reason);
}

function showHud({ hud, driving, warnings }) {
  text($("fact-size"), hud.frames ? `${hud.width}×${hud.height}` : "–");
  text($("fact-fps"), hud.fps ? `${hud.fps.toFixed(1)} Hz` : "–");
  text($("fact-age"), hud.frame_age_ms == null ? "no camera" : `${ms(hud.frame_age_ms)} ms`);
  text($("fact-decor"), hud.decor);
  text($("fact-load"), driving.load == null ? "–" : percent(driving.load));
  $("fact-load-bar").style.width = percent(driving.load ?? 0);
  // Titles alone: the numbers change all the time, and a screen reader would read each change.
  text($("alerts"), warnings.map((w) => w.title).join(", "));
  const speed = driving.speed == null ? "unknown" : `${Math.round(driving.speed)} ${driving.unit}`;
  picture.setAttribute("aria-label", `Head-up display over the road ahead; speed ${speed}`);
}

function showCompute({ workloads }) {
  $("no-workloads").hidden = workloads.length > 0;
  const create = () => {
    const row = make("tr");
    const name = make("th");
    name.scope = "row";
    name.append(make("span", "swatch"), make("span"));
    row.append(name, make("td", "dim"), make("td", "n"));
    return row;
  };
  rows($("workloads"), workloads, create, (row, w, i) => {
    const [name, level, share] = row.children;
    name.firstChild.style.background = COLOURS[i % COLOURS.length];
    text(name.lastChild, w.name);
    text(level, w.run ? `level ${w.level}` : w.lease_ms ? "off" : "no lease");
    text(share, percent(w.run ? w.cpu_share : 0));
    row.className = w.run ? "" : "off";
  });
}

function showDialogue({ exchanges, partial, model }) {
  $("no-exchanges").hidden = exchanges.length > 0 || partial != null;
  $("partial").hidden = partial == null;
  text($("partial"), partial == null ? "" : `${partial} …`);
  text($("model"), model ? `model ${model.running ? "running" : "not running"} · ${count(model.preemptions)} preemptions` : "");
  const list = $("exchanges");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  rows(list, exchanges, () => make("li", "exchange"), (item, e) => {
    const { age_s, ...shown } = e;
    const key = JSON.stringify(shown);
    if (item.dataset.key === key) return;
    item.dataset.key = key;
    item.replaceChildren(...exchangeParts(e));
  });
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function exchangeParts(e) {
  const parts = [];
  if (e.user) parts.push(make("p", "user", e.user));
  const chips = make("p", "chips");
  if (e.transcript_track) chips.append(make("span", "chip track", "transcript track"));
  if (e.intent) {
    const { name, confidence, slots, proposal, allowed } = e.intent;
    chips.append(make("span", "chip intent", `${name.replaceAll("_", " ")} ${percent(confidence)}`));
    for (const [slot, value] of slots) chips.append(make("span", "chip", `${slot.replaceAll("_", " ")}: ${value}`));
    if (proposal) chips.append(make("span", allowed ? "chip" : "chip refused", allowed ? "proposal, allowed" : "proposal, refused"));
  }
  if (chips.childElementCount) parts.push(chips);
  if (e.intent?.refusal) parts.push(make("p", "refusal", e.intent.refusal));
  if (e.reply) parts.push(make("p", `reply${e.streaming ? " streaming" : ""}${e.interrupted ? " interrupted" : ""}`, e.reply));
  return parts;
}

function showChains(chains, report) {
  const create = () => {
    const row = make("tr");
    const name = make("th");
    name.scope = "row";
    const bar = make("td", "bar");
    const track = make("div", "track-bar");
    track.append(...["p99", "p50", "max", "limit"].map((kind) => make("i", kind)));
    bar.append(track);
    row.append(name, bar, make("td", "n minor"), make("td", "n"), make("td", "n worst"), make("td", "n dim"));
    return row;
  };
  // The budget is at 80 % of the bar; larger values than the bar shows are drawn at its end.
  const at = (value, budget) => `${Math.min(100, (80 * value) / budget).toFixed(2)}%`;
  rows($("chains"), chains, create, (row, c) => {
    const [name, bar, ...cells] = row.children;
    const [p99, p50, max] = bar.firstChild.children;
    row.className = c.count === 0 ? "unmeasured" : c.p999_ms > c.budget_ms ? "over" : "";
    text(name, c.name.replaceAll("-", " "));
    p99.style.width = at(c.p99_ms, c.budget_ms);
    p50.style.width = at(c.p50_ms, c.budget_ms);
    max.style.left = at(c.max_ms, c.budget_ms);
    for (const part of [p99, p50, max]) part.hidden = c.count === 0;
    const values = c.count ? [ms(c.p50_ms), ms(c.p99_ms), ms(c.max_ms)] : ["–", "–", "–"];
    [...values, `${c.budget_ms} ms`].forEach((value, i) => text(cells[i], value));
  });
  if (report) {
    const lost = report.lost ? `${count(report.lost)} reliable messages lost` : "no reliable messages lost";
    text($("report"), `${count(report.messages)} messages, ${lost}${report.last ? " · the drive has ended" : ""}`);
  }
}

function showNodes(nodes) {
  const alive = nodes.filter((n) => n.state === "running").length;
  text($("nodes-sum"), `${alive} of ${nodes.length} running`);
  const create = () => {
    const row = make("tr");
    const name = make("th");
    name.scope = "row";
    name.append(make("span", "state"), make("span"), make("span", "kind"));
    row.append(name, ...Array.from({ length: 7 }, (_, i) => make("td", i === 2 || i === 3 ? "n minor" : "n")));
    return row;
  };
  rows($("nodes"), nodes, create, (row, n) => {
    const [name, ...cells] = row.children;
    row.className = n.state;
    text(name.children[1], n.name);
    text(name.children[2], n.state === "running" ? (n.safety ? "safety" : "") : n.state);
    const here = n.state !== "absent";
    const values = [
      n.cpu_percent == null ? "–" : `${n.cpu_percent.toFixed(1)}%`, mib(n.rss_bytes), count(n.messages_in),
      count(n.messages_out), count(n.dropped), count(n.lost), count(n.deadline_misses),
    ];
    values.forEach((value, i) => text(cells[i], here ? value : "–"));
    cells[5].className = n.lost ? "n bad" : "n";
    cells[6].className = n.deadline_misses ? "n bad" : "n";
  });
}

function showFaults(faults) {
  $("no-faults").hidden = faults.length > 0;
  text($("faults-sum"), faults.length ? String(faults.length) : "");
  const create = () => {
    const item = make("li", "fault");
    item.append(make("span", "mark"), make("b"), make("span", "dim"), make("p"));
    return item;
  };
  rows($("faults"), faults, create, (item, f) => {
    item.className = `fault ${f.severity}`;
    text(item.children[1], `${f.node} · ${f.code}${f.count > 1 ? ` ×${f.count}` : ""}`);
    text(item.children[2], ago(f.age_s));
    text(item.children[3], f.subject ? `${f.subject}: ${f.text}` : f.text);
  });
}

// --- the connection
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
/** The node sends a state ten times a second; without one for this long the connection is broken. */
const SILENCE_MS = 4000;
let wait = FIRST_WAIT_MS;

function setLink(state, label) {
  $("link").dataset.state = state;
  text($("link-text"), label);
}

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  let received = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - received > SILENCE_MS) socket.close();
  }, 1000);
  const acknowledge = (kind) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(kind);
  };
  socket.onopen = () => { wait = FIRST_WAIT_MS; };
  socket.onmessage = async ({ data }) => {
    received = performance.now();
    setLink("live", "live");
    try {
      if (typeof data === "string") showState(JSON.parse(data));
      else await showFrame(data);
    } finally {
      acknowledge(typeof data === "string" ? "state" : "frame");
    }
  };
  socket.onclose = () => {
    clearInterval(watch);
    const pause = wait * (0.8 + 0.4 * Math.random());
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    setLink("lost", "disconnected");
    text($("veil"), "Disconnected. Connecting to the head-up display again.");
    $("veil").hidden = false;
    setTimeout(connect, pause);
  };
}

connect();
