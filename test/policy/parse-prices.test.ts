import test, { type ExecutionContext } from "ava";
import { formatUsd } from "../../src/metering/money.ts";
import { MINUTE } from "../../src/metering/time.ts";
import { notes, policy, problems } from "./reading.ts";

function text(upstream: string, machines = ""): string {
  return `version: 1\nupstreams:\n  a: {url: http://h, ${upstream}}\n${machines}`;
}

function priced(upstream: string, machines = "") {
  const made = policy(text(upstream, machines)).upstreams.get("a");
  if (!made) throw new Error("no upstream");
  return made;
}

/** The hourly price and where it comes from. */
function check(t: ExecutionContext, upstream: string, expected: string) {
  const { price } = priced(upstream);
  const amount = price.kind === "hour" ? formatUsd(price.rate) : price.kind;
  t.is(`${amount} ${price.source.kind}`, expected);
}

function refused(t: ExecutionContext, given: string, expected: RegExp) {
  const told = problems(given);
  t.is(told.length, 1, told.join("\n"));
  t.regex(told[0] ?? "", expected);
}

test("a rate is the card's price", (t) => {
  check(t, "provider: aws, price: {rate: aws/us-east-1/g5.xlarge}", "1.006 rate_card");
  check(t, "provider: aws, price: {rate: aws/us-east-1/g5.xlarge, kind: spot}", "0.30 rate_card");
});

test("share and discount scale a rate exactly, extra comes on top", (t) => {
  check(t, 'provider: aws, price: {rate: aws/us-east-1/p4d.24xlarge, share: "1/8"}', "2.74470525 rate_card");
  check(
    t,
    "provider: aws, price: {rate: aws/us-east-1/g5.xlarge, discount: 0.30, extra_usd_per_hour: 0.02}",
    "0.7242 rate_card",
  );
  check(
    t,
    'provider: aws, price: {rate: aws/us-east-1/g5.xlarge, share: "1/8", discount: 0.1, extra_usd_per_hour: 1}',
    "1.113175 rate_card",
  );
});

test("a share that does not divide evenly is rounded up to the nano-dollar", (t) => {
  check(t, 'provider: aws, price: {rate: aws/us-east-1/g5.xlarge, share: "1/3"}', "0.335333334 rate_card");
});

test("a figure of the policy is the policy's", (t) => {
  check(t, "provider: other, price: {usd_per_hour: 0.40}", "0.40 policy");
  check(t, "provider: nvidia-hosted, price: {usd_per_request: 0}", "request policy");
  check(t, "provider: other, price: {usd_per_image: 0.002}", "image policy");
  check(t, "provider: other, price: {usd_per_million_tokens: {input: 1, output: 2}}", "tokens policy");
});

test("local costs nothing, a cloud's tier the card's price, others must say", (t) => {
  check(t, "provider: local", "0.00 policy");
  check(t, "provider: aws, gpu_tier: A10G", "1.006 rate_card");
  refused(t, text("provider: aws"), /price: is missing \(without gpu_tier/);
  refused(
    t,
    text("provider: aws, gpu_tier: h100"),
    /price: is missing \(the rate card has none for aws and this gpu_tier; it has: a10g\)/,
  );
  refused(
    t,
    text("provider: nvidia-hosted"),
    /price: is missing \(a price of provider nvidia-hosted must be stated/,
  );
  refused(t, text("provider: other, gpu_tier: a10g"), /price: is missing \(a price of provider other/);
});

test("exactly one form of price is allowed", (t) => {
  refused(
    t,
    text("provider: other, price: {usd_per_hour: 1, usd_per_request: 1}"),
    /price: has 2 prices: write exactly one/,
  );
  refused(t, text("provider: other, price: {}"), /price: has no price: write exactly one/);
  refused(
    t,
    text("provider: other, price: {usd_per_hour: 1, discount: 0.3}"),
    /price: discount belongs to a rate/,
  );
  refused(t, text("provider: other, price: 5"), /price: must be a mapping/);
});

test("an unknown rate names those that are near, an unknown kind those that there are", (t) => {
  refused(
    t,
    text("provider: aws, price: {rate: aws/us-east-1/g5.xlage}"),
    /price\.rate: .* is not in the rate card \(did you mean "aws\/us-east-1\/g5\.xlarge"/,
  );
  refused(
    t,
    text("provider: aws, price: {rate: aws/us-east-1/g5.xlarge, kind: reserved_1y}"),
    /price\.rate: has no reserved_1y price in the rate card; it has: on_demand, spot/,
  );
});

test("A47: a hosted price is not stated by a rate that is no machine", (t) => {
  const of = (more: string) => text(`provider: nvidia-hosted, price: {rate: nvidia/any/trial${more}}`);
  refused(t, of(""), /price\.rate: is no hour of a machine \(hosted_api\): state usd_per_request/);
  for (const kind of ["hosted_api", "licence"]) {
    refused(
      t,
      text(`provider: aws, price: {rate: aws/us-east-1/g5.xlarge, kind: ${kind}}`),
      /price\.kind: .* is not one of the allowed words: write one of on_demand, /,
    );
  }
});

test("a rate of another provider is told", (t) => {
  const told = (upstream: string, machines = "") =>
    notes(text(upstream, machines)).filter((each) => each.includes("is a price of"));
  const rate = "price: {rate: aws/us-east-1/g5.xlarge}";
  t.regex(
    told(`provider: azure, ${rate}`).join("\n"),
    /^3:\d+ upstreams\.a\.price\.rate: is a price of aws, and this is azure$/,
  );
  t.deepEqual(told(`provider: aws, ${rate}`), []);
  const pool = `machines: {m: {${rate}, gke_pool: {project: p, location: l, cluster: c, pool: q}}}`;
  t.regex(
    told("provider: gcp, machine: m", pool).join("\n"),
    /machines\.m\.price\.rate: is a price of aws, and this is gcp$/,
  );
});

for (const share of ["0", "9/8", "1/0", "2", "-1/8", "1/x"]) {
  test(`${share} is no share`, (t) => {
    refused(
      t,
      text(`provider: aws, price: {rate: aws/us-east-1/g5.xlarge, share: "${share}"}`),
      /is not a share of a machine/,
    );
  });
}

test("what bills is the machine, and then the price is only there", (t) => {
  const machines = "machines: {m: {price: {usd_per_hour: 2}, idle_usd_per_hour: 1, min_billed: 60s}}";
  const made = priced("provider: aws, machine: m", machines);
  t.is(made.machine, "m");
  t.is(made.price.kind === "hour" && formatUsd(made.price.rate), "2.00");
  t.is(formatUsd(made.idleRate), "1.00");
  t.is(made.minBilled, MINUTE);
  refused(
    t,
    text("provider: aws, machine: m, price: {usd_per_hour: 1}", machines),
    /a\.price: belongs to machine m/,
  );
  refused(
    t,
    text("provider: aws, machine: m, min_billed: 1s", machines),
    /a\.min_billed: belongs to machine m/,
  );
});

test("a machine without a price takes its upstreams' tier, or must say", (t) => {
  const made = priced("provider: aws, gpu_tier: a10g, machine: m", "machines: {m: {}}");
  t.is(made.price.kind === "hour" && formatUsd(made.price.rate), "1.006");
  refused(t, text("provider: aws, machine: m", "machines: {m: {}}"), /machines\.m\.price: is missing/);
});

const ASG = "machines: {m: {asg: {region: r, name: n}}}";

test("a cloud's machine is never free because of who was put on it", (t) => {
  const told = problems(text("provider: local, machine: m", ASG));
  t.is(told.length, 2);
  t.regex(told[0] ?? "", /a\.machine: m is aws's \(asg\), and this upstream says local: name another/);
  t.regex(told[1] ?? "", /machines\.m\.price: is missing/);
  const made = priced("provider: aws, gpu_tier: a10g, machine: m", ASG);
  t.is(made.price.kind === "hour" && formatUsd(made.price.rate), "1.006");
});

test("A22, X23: idle costs the machine's own price, or 0.04 USD/h marked as an estimate", (t) => {
  const docker = "container: {docker: {name: X}}";
  const hourly = priced(`provider: other, price: {usd_per_hour: 0.40}, ${docker}`);
  t.is(formatUsd(hourly.idleRate), "0.40");
  t.is(hourly.idleSource?.kind, "policy");
  const perImage = priced(`provider: other, price: {usd_per_image: 0.01}, ${docker}`);
  t.is(formatUsd(perImage.idleRate), "0.04");
  t.is(perImage.idleSource?.kind, "estimate");
  const nothingIdles = priced("provider: other, price: {usd_per_image: 0.01}");
  t.is(formatUsd(nothingIdles.idleRate), "0.00");
});
