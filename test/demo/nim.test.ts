import test, { type ExecutionContext } from "ava";
import { type Nim, type NimOptions, startNim } from "../../src/demo/nim.ts";
import { rawExchange } from "./raw-http.ts";

async function withNim(t: ExecutionContext, options: NimOptions = {}): Promise<Nim> {
  const nim = await startNim({ scale: 0, ...options });
  t.teardown(() => nim.close());
  return nim;
}

async function check(t: ExecutionContext, path: string, expected: object): Promise<void> {
  const nim = await withNim(t, { models: ["flux.1-dev", "flux.1-schnell"] });
  const reply = await fetch(nim.url + path);
  t.is(reply.status, 200);
  t.like(await reply.json(), expected);
}

test("a NIM that is up is live", check, "/v1/health/live", { status: "live" });
test("a NIM that is up is ready", check, "/v1/health/ready", { status: "ready" });
test("a query changes nothing", check, "/v1/health/ready?x=1", { status: "ready" });
test("every model is listed", check, "/v1/models", {
  object: "list",
  data: [{ id: "flux.1-dev" }, { id: "flux.1-schnell" }],
});
test("the version is told", check, "/v1/version", { api: "1.0.0" });
test("the metadata name the models", check, "/v1/metadata", { modelInfo: [{ shortName: "flux.1-dev" }] });
test("the licence is told", check, "/v1/license", { name: "Apache License 2.0" });

test("health says 503 while the NIM is told not to be ready", async (t) => {
  const nim = await withNim(t);
  nim.ready = false;
  t.is((await fetch(`${nim.url}/v1/health/ready`)).status, 503);
  t.is((await fetch(`${nim.url}/v1/health/live`)).status, 200);
  nim.ready = true;
  t.is((await fetch(`${nim.url}/v1/health/ready`)).status, 200);
});

test("metrics are Prometheus text", async (t) => {
  const nim = await withNim(t);
  const reply = await fetch(`${nim.url}/v1/metrics`);
  t.regex(reply.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  for (const line of (await reply.text()).trimEnd().split("\n")) {
    t.regex(line, /^(# TYPE [a-z_]+ (gauge|counter)|[a-z_]+ \d+)$/);
  }
});

test("an unknown path is FastAPI's 404, a wrong method its 405", async (t) => {
  const nim = await withNim(t);
  const unknown = await fetch(`${nim.url}/v1/nothing`);
  t.is(unknown.status, 404);
  t.deepEqual(await unknown.json(), { detail: "Not Found" });
  const wrong = await fetch(`${nim.url}/v1/infer`);
  t.is(wrong.status, 405);
  t.is(wrong.headers.get("allow"), "POST");
  t.deepEqual(await wrong.json(), { detail: "Method Not Allowed" });
});

test("an announced body over the limit is 413 before it is sent", async (t) => {
  const nim = await withNim(t);
  const head = "POST /v1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n";
  const { text, ended } = await rawExchange(nim.port, head);
  t.regex(text, /^HTTP\/1\.1 413 /);
  t.is(ended, "fin");
});

test("a chunked body over the limit is 413 when it gets there", async (t) => {
  const nim = await withNim(t);
  const piece = Buffer.alloc(26_214_401);
  const size = piece.length.toString(16);
  const head = `POST /v1/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n`;
  const { text } = await rawExchange(nim.port, Buffer.concat([Buffer.from(head), piece]));
  t.regex(text, /^HTTP\/1\.1 413 /);
});

test("what arrived is recorded as it was sent", async (t) => {
  const nim = await withNim(t, { name: "left" });
  const body = '{"seed": 1}';
  const headers = "Host: x\r\nX-OddCase: 1\r\nConnection: close\r\nContent-Length: 11";
  const request = `POST /v1/infer?a=b HTTP/1.1\r\n${headers}\r\n\r\n${body}`;
  const { text } = await rawExchange(nim.port, request);
  t.regex(text, /x-nim-name: left/);
  const [record] = nim.requests;
  t.like(record, { method: "POST", path: "/v1/infer?a=b", bytes: 11, ending: "answered" });
  t.deepEqual(record?.rawHeaders.slice(2, 4), ["X-OddCase", "1"]);
  t.is(record?.body.toString(), body);
  t.is(record?.sha256, "a4bbadc1c78966d28872dbe60ff40cb9c996f884e228ed4a08eb7d6c3a24f4b8");
  t.is(nim.inFlight(), 0);
});

test("a taken port is told in a sentence", async (t) => {
  const nim = await withNim(t);
  const error = await t.throwsAsync(startNim({ port: nim.port }));
  t.regex(
    error?.message ?? "",
    new RegExp(`^port ${nim.port} of 127\\.0\\.0\\.1 is already in use: stop what`),
  );
});

test("closing breaks what is in flight and listens no more", async (t) => {
  const nim = await startNim({ scale: 0 });
  nim.fault = { kind: "hang" };
  const hanging = t.throwsAsync(fetch(`${nim.url}/v1/models`));
  while (nim.inFlight() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await nim.close();
  await hanging;
  await t.throwsAsync(fetch(nim.url));
});
