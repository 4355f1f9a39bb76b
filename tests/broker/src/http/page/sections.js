// What each section shows of a snapshot.

import { Rows, Table, duration, make, number, setText } from "/table.js";

const table = (section, columns, keyOf) => new Table(document.querySelector(`#${section} table`), columns, keyOf);

/** A column of names. */
const name = (label, of) => ({ label, kind: "name", text: of });

/** A column of numbers. */
const count = (label, of) => ({ label, kind: "number", text: (item) => number(of(item)) });

/** A text that may be long: its first line, and the rest when it is opened. */
function disclosure(cell) {
  const details = make("details");
  const summary = make("summary");
  details.append(summary);
  cell.append(details);
  return { details, summary };
}

const KIBI = 1_024;
const size = (bytes) => (bytes < KIBI ? `${number(bytes)} bytes` : `${number(Math.round(bytes / KIBI))} KiB`);

/** How many of a kind are shown, and what to do about those that are not. */
function listing(listed, one, many, filtered) {
  const { total, matching, rows } = listed;
  if (total === 0) return `No ${many} yet.`;
  const all = `${number(total)} ${total === 1 ? one : many}`;
  const found = filtered ? `${number(matching)} of ${all} match the filter` : all;
  if (rows.length === matching) return `${found}.`;
  return `${found}; ${number(rows.length)} are shown, ${number(matching - rows.length)} left out. Filter to find one.`;
}

const figures = new Rows(
  document.querySelector("#figures"),
  ([label]) => label,
  ([label]) => {
    const element = make("div");
    const value = make("dd");
    element.append(make("dt", "", label), value);
    return { element, update: ([, figure]) => setText(value, number(figure)) };
  },
);

const groups = table(
  "groups",
  [
    name("Group", (row) => row.group),
    name("Topic", (row) => row.topic),
    count("Consumers", (row) => row.consumers),
    count("Lag", (row) => row.lag),
    count("Ready", (row) => row.ready),
    count("In flight", (row) => row.inFlight),
    {
      label: "Oldest lease",
      kind: "number",
      text: (row) => (row.oldestLeaseMs === null ? "–" : duration(row.oldestLeaseMs)),
    },
    count("Acked", (row) => row.acked),
    count("Redeliveries", (row) => row.redeliveries),
    count("Dead letters", (row) => row.deadLettered),
    count("Archived", (row) => row.archived),
    count("Forgotten", (row) => row.forgotten),
    { label: "Partitions", cell: partitions },
  ],
  (row) => `${row.group} ${row.topic}`,
);

function partitions(cell) {
  const { details, summary } = disclosure(cell);
  const list = make("ul");
  details.append(list);
  const rows = new Rows(
    list,
    (row) => row.partition,
    () => {
      const element = make("li");
      const update = (row) =>
        setText(
          element,
          `Partition ${row.partition}: lag ${number(row.lag)}, ${number(row.inFlight)} in flight, ${row.owner ?? "no owner"}`,
        );
      return { element, update };
    },
  );
  let latest = [];
  // What is not seen is not built.
  const render = () => rows.render(details.open ? latest : []);
  details.addEventListener("toggle", render);
  return (row) => {
    const shown = row.partitions.length;
    const most = shown < row.partitionCount ? `, the ${shown} with the most lag` : "";
    setText(summary, `${number(row.partitionCount)}${most}`);
    latest = row.partitions;
    render();
  };
}

const states = new Rows(
  document.querySelector("#states"),
  ([state]) => state,
  ([state]) => {
    const element = make("li");
    const value = make("b");
    element.append(badge(state), " ", value);
    return { element, update: ([, figure]) => setText(value, number(figure)) };
  },
);

function badge(state) {
  const element = make("span", "badge", state);
  element.dataset.state = state.toLowerCase();
  return element;
}

let now = 0;

const consumers = table(
  "consumers",
  [
    { label: "Consumer", kind: "id", text: (row) => row.consumerId },
    name("Client", (row) => row.clientId ?? "–"),
    name("Group", (row) => row.group),
    name("Topic", (row) => row.topic),
    {
      label: "State",
      cell: (cell) => {
        const state = make("span", "badge");
        const silent = make("span", "badge");
        silent.dataset.state = "silent";
        cell.append(state, " ", silent);
        return (row) => {
          setText(state, row.state);
          state.dataset.state = row.state.toLowerCase();
          const missed = !row.takesPart && ["Created", "Started", "Paused"].includes(row.state);
          setText(silent, missed ? "Silent" : "");
        };
      },
    },
    count("Partitions", (row) => row.partitionCount),
    count("In flight", (row) => row.inFlight),
    count("Waiting pulls", (row) => row.waitingPulls),
    { label: "Last seen", kind: "number", text: (row) => `${duration(now - row.lastSeen)} ago` },
    { label: "Ack timeout", kind: "number", text: (row) => `${number(row.ackTimeout)} ms` },
    { label: "Retries", kind: "number", text: (row) => (row.autoAck ? "auto ack" : number(row.maxReconsumeTimes)) },
    name("Dead letters to", (row) => row.deadLetterTopic ?? "archive"),
  ],
  (row) => `${row.group} ${row.consumerId}`,
);

const leases = table(
  "leases",
  [
    { label: "Age", text: (row) => row.age },
    count("Leases", (row) => row.count),
    {
      label: "Share",
      cell: (cell) => {
        const bar = make("span", "bar");
        const share = make("span", "share");
        cell.append(bar, share);
        return (row) => {
          const percent = row.all === 0 ? 0 : (100 * row.count) / row.all;
          bar.style.setProperty("inline-size", `${percent * 0.8}%`);
          setText(share, `${Math.round(percent)} %`);
        };
      },
    },
  ],
  (row) => row.age,
);

const topics = table(
  "topics",
  [
    name("Topic", (row) => row.topic),
    count("Partitions", (row) => row.partitions),
    count("Published", (row) => row.published),
    count("Groups", (row) => row.groups),
    { label: "Use", text: (row) => (row.deadLetterTopic ? "dead letters" : "messages") },
  ],
  (row) => row.topic,
);

/** A client's text as far as it was sent, or that there is none. */
const cut = (value) => (value === null ? "unknown" : value.text.length === 0 ? "(empty)" : ellipsis(value));
const ellipsis = ({ text, length }) => (new TextEncoder().encode(text).length < length ? `${text}…` : text);

function why({ reason, attempts }) {
  const failed = attempts === null ? "" : `, failed deliveries: ${cut(attempts)}`;
  return `${cut(reason)}${failed}`;
}

const deadLetters = table(
  "dead-letters",
  [
    { label: "Message", kind: "id", text: (row) => row.messageId },
    name("Key", (row) => (row.key === null ? "–" : ellipsis(row.key))),
    name("Came from", (row) => cut(row.origin)),
    name("Group", (row) => cut(row.group)),
    { label: "Why", text: why },
    name("Lies in", (row) => `${row.topic}, partition ${row.partition}, offset ${number(row.offset)}`),
    { label: "Body", cell: body },
  ],
  (row) => `${row.topic} ${row.partition} ${row.offset}`,
);

function body(cell) {
  const { details, summary } = disclosure(cell);
  const start = make("code");
  const length = make("span", "length");
  const whole = make("pre");
  summary.append(start, " ", length);
  details.append(whole);
  return ({ body, encoding }) => {
    setText(start, body.length === 0 ? "(empty)" : body.text.slice(0, 60));
    const form = encoding === "base64" ? "Base64, " : "";
    const shown = ellipsis(body) === body.text ? "" : ", its start is shown";
    setText(length, `${form}${size(body.length)}${shown}`);
    setText(whole, ellipsis(body));
  };
}

function ages({ bounds, counts }) {
  const all = counts.reduce((sum, value) => sum + value, 0);
  const unit = (ms) => (ms < 60_000 ? `${ms / 1_000} s` : ms < 3_600_000 ? `${ms / 60_000} min` : `${ms / 3_600_000} h`);
  const age = (index) => {
    if (index === 0) return `under ${unit(bounds[0])}`;
    const from = unit(bounds[index - 1]);
    return index === bounds.length ? `${from} and over` : `${from} to ${unit(bounds[index])}`;
  };
  return counts.map((value, index) => ({ age: age(index), count: value, all }));
}

/** Shows a snapshot. */
export function showSnapshot(snapshot, filtered) {
  now = snapshot.now;
  const { account, leases: held } = snapshot;
  figures.render([
    ["Topics", snapshot.topics.total],
    ["Groups", snapshot.groupCount],
    ["Consumers", snapshot.consumers.total],
    ["Published", snapshot.published],
    ["Ready", account.ready],
    ["In flight", account.inFlight],
    ["Acked", account.acked],
    ["Redeliveries", account.redeliveries],
    ["Dead letters", account.deadLettered],
    ["Archived", account.archived],
    ["Forgotten", account.forgotten],
  ]);
  groups.render(snapshot.groups.rows, listing(snapshot.groups, "group in a topic", "groups in their topics", filtered));
  const { created, started, paused, stopped, closed, silent } = snapshot.consumerStates;
  states.render([
    ["Created", created],
    ["Started", started],
    ["Paused", paused],
    ["Stopped", stopped],
    ["Closed", closed],
    ["Silent", silent],
  ]);
  consumers.render(snapshot.consumers.rows, listing(snapshot.consumers, "consumer", "consumers", filtered));
  const oldest = held.oldestMs === null ? "No lease runs." : `All groups. The oldest has run for ${duration(held.oldestMs)}.`;
  leases.render(ages(held), oldest);
  topics.render(snapshot.topics.rows, listing(snapshot.topics, "topic", "topics", filtered));
}

/** Shows the newest dead letters, of `total` that there ever were. */
export function showDeadLetters({ letters, complete }, total, filtered) {
  const ever = total === 0 ? "No message has died." : `${number(total)} died so far.`;
  const shown = `${letters.length === 0 ? "None" : `The newest ${number(letters.length)}`} ${filtered ? "that match" : "that are kept"} shown.`;
  const rest = complete ? "" : " Not every topic was looked at: filter to find others.";
  deadLetters.render(letters, total === 0 && letters.length === 0 ? ever : `${ever} ${shown}${rest}`);
}
