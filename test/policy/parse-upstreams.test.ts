import test, { type ExecutionContext } from "ava";
import { policy, problems } from "./reading.ts";

function upstreams(text: string, more = ""): string {
  return `version: 1\nupstreams:\n  ${text.split("\n").join("\n  ")}\n${more}`;
}

function check(t: ExecutionContext, given: string, expected: RegExp) {
  const told = problems(given);
  t.is(told.length, 1, told.join("\n"));
  t.regex(told[0] ?? "", expected);
}

const FORBIDDEN = [
  "http://169.254.169.254/latest/meta-data",
  "http://0xa9fea9fe/",
  "http://[::ffff:169.254.169.254]/",
  "http://169.254.0.1/",
  "http://[fe80::1]/",
  "http://[fe90::1]/",
  "http://[febf::1]/",
  "http://[fd00:ec2::254]/",
  "http://100.100.100.200/",
  "http://168.63.129.16/",
  "http://metadata/",
  "http://instance-data/",
  "http://instance-data.ec2.internal/",
  "http://metadata.google.internal./",
  "http://metadata.goog/",
  "http://2852039166/",
  "http://0251.0376.0251.0376/",
  "http://169.254.43518/",
  "http://[::169.254.169.254]/",
  "http://[64:ff9b::a9fe:a9fe]/",
  "http://[2002:a9fe:a9fe::1]/",
  "http://[::ffff:0:a9fe:a9fe]/",
  "http://[fd20:ce::254]/",
  "http://0.0.0.0:8000/",
  "http://[::]:8000/",
  "http://[::ffff:0.0.0.0]/",
  "http://user:secret@host/",
  "http://host/?key=secret",
  "ftp://host/",
  "file:///etc/passwd",
  "//host",
  "host:8000",
  "http://",
];

for (const url of FORBIDDEN) {
  test(`no upstream is at ${url}, and the address is not repeated`, (t) => {
    const text = upstreams(`flux: {provider: local, url: "${url}"}`);
    check(t, text, /^3:\d+ upstreams\.flux\.url: this value is not an address that may be used/);
    t.false(problems(text).join().includes("secret"));
  });
}

test("an address that is forbidden is told why", (t) => {
  const said = (url: string) => problems(upstreams(`flux: {provider: local, url: "${url}"}`)).join();
  t.regex(
    said("http://100.100.100.200/x"),
    /may be used \(there a cloud hands out its own credentials\): write/,
  );
  t.regex(said("http://169.254.169.254/"), /may be used \(that is a link-local address, where clouds/);
  t.regex(said("http://0.0.0.0:8000"), /may be used \(that means any address, and is no place\): write/);
  t.regex(said("ftp://10.0.0.7/"), /may be used: write/);
});

test("addresses beside the forbidden ones are allowed", (t) => {
  for (const host of [
    "169.253.1.1",
    "169.255.1.1",
    "[fec0::1]",
    "[fe70::1]",
    "[fd00:ec2::253]",
    "metadata.studio",
    "10.0.0.7",
    "192.168.1.4",
    "127.0.0.1",
    "[::1]",
    "[fd12::7]",
    "[64:ff9b::a00:7]",
    "[::ffff:10.0.0.7]",
  ]) {
    t.deepEqual(problems(upstreams(`flux: {provider: local, url: "http://${host}/"}`)), [], host);
  }
});

const SELF = [
  "http://127.0.0.1:7070",
  "http://localhost:7070/v1",
  "http://[::1]:7071",
  "http://127.9.9.9:7070",
  "http://[::ffff:127.0.0.1]:7070",
  "http://sub.localhost.:7070",
  "http://0x7f000001:7070",
];

for (const url of SELF) {
  test(`${url} is the gateway itself`, (t) => {
    check(t, upstreams(`flux: {provider: local, url: "${url}"}`), /url: is the gateway itself/);
  });
}

test("an upstream's address loses its last slash and keeps its path", (t) => {
  const flux = policy(upstreams('flux: {provider: local, url: "HTTP://NIM.lan:80/v1/"}')).upstreams.get(
    "flux",
  );
  t.is(flux?.url, "http://nim.lan/v1");
});

test("an address may be missing only where the container's provider tells it", (t) => {
  check(t, upstreams("flux: {provider: local}"), /flux\.url: is missing: write the NIM's address/);
  const docker = "container: {docker: {name: FLUX}}";
  t.is(policy(upstreams(`flux: {provider: local, ${docker}}`)).upstreams.get("flux")?.url, undefined);
  t.is(
    policy(upstreams(`flux: {provider: local, url: discovered, ${docker}}`)).upstreams.get("flux")?.url,
    undefined,
  );
  const pool = "cluster: c, pool: p, deployment: d";
  const price = "price: {usd_per_hour: 1}";
  for (const one of [
    `provider: azure, ${price}, container: {aks: {subscription: s, resource_group: g, ${pool}}}`,
    `provider: gcp, ${price}, container: {gke: {project: p, location: l, ${pool}}}`,
  ])
    t.is(policy(upstreams(`flux: {${one}}`)).upstreams.get("flux")?.url, undefined);
});

const SECRETS = [
  "auth: nvapi-SECRET",
  "auth: {bearer: nvapi-SECRET}",
  "auth: {bearer: {env: nvapi-SECRET}}",
  "auth: {bearer: {credential: '!SECRET'}}",
  "auth: {header: {name: 'X: SECRET', secret: {env: A}}}",
  "auth: {bearer: {env: A, file: SECRET}}",
  "auth: {bearer: {}}",
];

for (const auth of SECRETS) {
  test(`refused without repeating the secret: ${auth}`, (t) => {
    const told = problems(upstreams(`flux: {provider: local, url: http://h, ${auth}}`));
    t.is(told.length, 1, told.join("\n"));
    t.false(told.join().includes("SECRET"), told.join());
  });
}

test("secrets are kept as references", (t) => {
  const of = (auth: string) =>
    policy(upstreams(`flux: {provider: local, url: https://h, auth: ${auth}}`)).upstreams.get("flux")?.auth;
  t.deepEqual(of("{bearer: {env: TOKEN}}"), { kind: "bearer", secret: { kind: "env", name: "TOKEN" } });
  t.deepEqual(of("{header: {name: X-API-Key, secret: {file: /run/key}}}"), {
    kind: "header",
    name: "X-API-Key",
    secret: { kind: "file", path: "/run/key" },
  });
});

const ecs = (service: string) => `container: {ecs: {region: r, cluster: c, service: ${service}}}`;
const aks = (name: string) =>
  `url: http://h, container: {aks: {subscription: s, resource_group: g, cluster: c, pool: p, deployment: ${name}}}`;

test("two upstreams cannot name one container", (t) => {
  const text = `a: {provider: aws, gpu_tier: a10g, ${ecs("x")}}\nb: {provider: aws, gpu_tier: a10g, ${ecs("x")}}`;
  check(t, upstreams(text), /upstreams\.b\.container: is upstream a's container already/);
});

test("a container belongs to its own provider", (t) => {
  const text = `a: {provider: azure, price: {usd_per_hour: 1}, ${ecs("x")}}`;
  check(t, upstreams(text), /container\.ecs: belongs to provider aws, and this upstream says azure/);
});

test("two upstreams on one node pool need one machine", (t) => {
  const price = "price: {usd_per_hour: 1}";
  const apart = `a: {provider: azure, ${price}, ${aks("x")}}\nb: {provider: azure, ${price}, ${aks("y")}}`;
  check(t, upstreams(apart), /upstreams\.b\.machine: runs on one node pool with a/);
  const together = `a: {provider: azure, machine: m, ${aks("x")}}\nb: {provider: azure, machine: m, ${aks("y")}}`;
  t.deepEqual(problems(upstreams(together, `machines: {m: {${price}}}`)), []);
});

test("an upstream on a declared pool must name its machine", (t) => {
  const pool =
    "aks_pool: {subscription: s, resource_group: g, cluster: c, pool: p}, price: {usd_per_hour: 1}";
  const text = upstreams(
    `a: {provider: azure, price: {usd_per_hour: 1}, ${aks("x")}}`,
    `machines: {m: {${pool}}}`,
  );
  check(t, text, /upstreams\.a\.machine: its node pool is machine m: write machine: m/);
});

const docker = (name: string, socket = "/var/run/docker.sock") =>
  `container: {docker: {name: ${name}, socket: "${socket}"}}`;
const HOURLY = "price: {usd_per_hour: 1}";

test("other spellings of a container's name and socket are the same container", (t) => {
  for (const other of [
    docker("FLUX", "/run/docker.sock"),
    docker("FLUX", "unix:///var/run/docker.sock"),
    docker("FLUX", "//var/run//docker.sock"),
    docker("/FLUX"),
  ]) {
    check(
      t,
      upstreams(`a: {provider: local, ${docker("FLUX")}}\nb: {provider: local, ${other}}`),
      /upstreams\.b\.container: is upstream a's container already/,
    );
  }
});

test("two priced containers of one Docker host need one machine, free ones do not", (t) => {
  const two = (a: string, b: string, socket?: string) =>
    upstreams(
      `a: {provider: other, ${a}, ${docker("A")}}\nb: {provider: other, ${b}, ${docker("B", socket)}}`,
    );
  check(
    t,
    two(HOURLY, HOURLY, "/run/docker.sock"),
    /b\.machine: runs on one Docker host with a and bills with it/,
  );
  t.deepEqual(problems(two(HOURLY, HOURLY, "/run/user/1000/podman/podman.sock")), []);
  t.deepEqual(problems(two(HOURLY, "price: {usd_per_hour: 0}")), []);
});

test("a priced container on a declared Docker host must name its machine", (t) => {
  const host = "machines: {m: {docker_host: {socket: /run/docker.sock}, price: {usd_per_hour: 1}}}";
  check(
    t,
    upstreams(`a: {provider: other, ${HOURLY}, ${docker("A")}}`, host),
    /a\.machine: its Docker host is machine m: write machine: m/,
  );
  t.deepEqual(problems(upstreams(`a: {provider: local, ${docker("A")}}`, host)), []);
});

test("a container runs on no machine of another kind, and on no other pool than its own", (t) => {
  const pool = (name: string) =>
    `machines: {m: {${HOURLY}, gke_pool: {project: p, location: l, cluster: c, pool: ${name}}}}`;
  const kind =
    /a\.machine: m is of kind gke_pool, on which no container of ecs runs: name a machine of kind asg/;
  check(t, upstreams(`a: {provider: aws, machine: m, ${ecs("x")}}`, pool("q")), kind);
  const gke =
    "a: {provider: gcp, machine: m, url: http://h, container: {gke: {project: p, location: l, cluster: c, pool: q, deployment: d}}}";
  t.deepEqual(problems(upstreams(gke, pool("q"))), []);
  check(t, upstreams(gke, pool("r")), /a\.machine: m is another node pool than its container's/);
});

test("a container that has a price takes one request at a time, everything else any number", (t) => {
  const of = (text: string) => policy(upstreams(`a: {${text}}`)).upstreams.get("a")?.concurrency;
  t.is(of(`provider: aws, gpu_tier: a10g, ${ecs("x")}`), 1);
  t.is(of(`provider: aws, gpu_tier: a10g, concurrency: 4, ${ecs("x")}`), 4);
  t.is(of("provider: local, container: {docker: {name: X}}"), undefined);
  t.is(of("provider: aws, gpu_tier: a10g, url: http://h"), undefined);
});

test("a lifecycle without a container is a problem", (t) => {
  const text = "a: {provider: local, url: http://h, lifecycle: {wake: on_request}}";
  check(t, upstreams(text), /lifecycle: needs a container/);
});

test("a weekly window is days and times", (t) => {
  const of = (text: string) =>
    policy(
      upstreams(`a: {provider: local, container: {docker: {name: X}}, lifecycle: {keep_warm: "${text}"}}`),
    ).upstreams.get("a")?.lifecycle?.keepWarm;
  t.deepEqual(of("Mon-Fri 09:00-18:00"), { firstDay: 1, lastDay: 5, opens: 540, closes: 1080 });
  t.deepEqual(of("Sun 00:00-24:00"), { firstDay: 7, lastDay: 7, opens: 0, closes: 1440 });
  t.throws(() => of("Mon-Fri 18:00-09:00"), {
    message: /is not a weekly window.*of one day, the later one last/,
  });
});
