// eventsource and fetch-event-source: every message that they hand out until the stream tells the end.

import { EventSource } from "eventsource";

const url = `${process.env.ONESEAT_URL}/auth/session/events`;
const headers = { Authorization: `Bearer ${process.env.ONESEAT_TOKEN}` };
// It asks whether its page is shown.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import("@microsoft/fetch-event-source");

const said = { eventsource: [], "fetch-event-source": [] };
let open = 0;
const opened = () => { if (++open === 2) console.log("open"); };
const heard = (name, event, data) => said[name].push([event, data === "" ? "" : JSON.parse(data).reason]);

const first = new Promise((ended) => {
  const source = new EventSource(url, { fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }) });
  source.onopen = opened;
  source.onmessage = ({ data }) => heard("eventsource", "", data);
  source.addEventListener("ended", ({ data }) => { heard("eventsource", "ended", data); source.close(); ended(); });
});
const second = fetchEventSource(url, {
  headers,
  onopen: async () => opened(),
  onmessage: ({ event, data }) => heard("fetch-event-source", event, data),
});
await Promise.all([first, second]);
console.log(JSON.stringify(said));
