// Reads Prometheus text strictly: what a scraper would pass over in silence is an error here. It knows no
// metric of ours.

export interface Sample {
  readonly name: string;
  readonly labels: Record<string, string>;
  /** As written. */
  readonly value: string;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const VALUE = /^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|-Inf|NaN)$/;

/** Throws, naming the line, at the first thing that is not right. */
export function readExposition(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let family: Family | undefined;
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const [, helpName, help] = HELP.exec(line) ?? [];
    if (helpName !== undefined && help !== undefined) {
      if (families.has(helpName)) throw new Error(`twice: ${line}`);
      family = { name: helpName, help, type: "", samples: [] };
      families.set(helpName, family);
    } else if (line.startsWith("#")) {
      const [, name, type] = TYPE.exec(line) ?? [];
      if (family === undefined || name !== family.name || type === undefined)
        throw new Error(`misplaced: ${line}`);
      family = { ...family, type };
      families.set(name, family);
    } else {
      if (family === undefined || family.type === "") throw new Error(`a sample without a type: ${line}`);
      const sample = readSample(line);
      if (!namesOf(family).includes(sample.name)) throw new Error(`a stranger in ${family.name}: ${line}`);
      const key = sample.name + JSON.stringify(Object.entries(sample.labels).sort());
      if (seen.has(key)) throw new Error(`the same sample twice: ${line}`);
      seen.add(key);
      family.samples.push(sample);
    }
  }
  for (const one of families.values()) if (one.type === "histogram") checkHistogram(one);
  return families;
}

function namesOf({ name, type }: Family): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function readSample(line: string): Sample {
  const [, name, inner, value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined || !VALUE.test(value))
    throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (inner !== undefined && LABEL.lastIndex < inner.length) {
    const [, label, text] = LABEL.exec(inner) ?? [];
    if (label === undefined || text === undefined || label in labels) throw new Error(`labels: ${line}`);
    labels[label] = text.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
  }
  return { name, labels, value };
}

/** Buckets of one series rise, end with +Inf, and that one equals the count. */
function checkHistogram({ name, samples }: Family): void {
  const series = Map.groupBy(samples, ({ labels }) =>
    JSON.stringify(Object.entries({ ...labels, le: "" }).sort()),
  );
  for (const group of series.values()) {
    const buckets = group.filter((one) => one.name === `${name}_bucket`);
    const counts = buckets.map(({ value }) => Number(value));
    const bounds = buckets.map(({ labels }) => Number((labels.le ?? "").replace("+Inf", "Infinity")));
    const rises = (numbers: readonly number[]) =>
      numbers.every((one, place) => place === 0 || one >= (numbers[place - 1] ?? 0));
    const total = group.find((one) => one.name === `${name}_count`)?.value;
    if (!rises(counts) || !rises(bounds)) throw new Error(`${name}: buckets do not rise`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}: no +Inf bucket`);
    if (String(counts.at(-1)) !== total) throw new Error(`${name}: +Inf is not the count`);
    if (!group.some((one) => one.name === `${name}_sum`)) throw new Error(`${name}: no sum`);
  }
}
