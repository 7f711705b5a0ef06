// docs/techops.md shows what the import prints, and the statuses and lines that there are.

import { readFileSync } from "node:fs";
import test from "ava";
import { readConfig } from "../../src/cloud/techops/config-file.ts";
import { allAre, bannerOf } from "../../src/cloud/techops/credential-status.ts";
import { makeFragment } from "../../src/cloud/techops/fragment.ts";
import { fragmentText } from "../../src/cloud/techops/fragment-text.ts";
import { CREDENTIAL_STATUSES } from "../../src/sdk/vocabulary.ts";
import { DEPLOYMENTS, rates } from "../support/techops-files.ts";

const PAGE = readFileSync(new URL("../../docs/techops.md", import.meta.url), "utf8");

test("the page shows the very entries that are printed", (t) => {
  const { deployments } = readConfig([DEPLOYMENTS.aws, DEPLOYMENTS.azure]);
  const text = fragmentText(makeFragment({ endpoints: [], deployments, rates, ports: new Map(), taken: [] }));
  t.is(PAGE.split("```yaml\n")[1]?.split("```")[0], text);
});

test("the page has every status, and both lines word for word", (t) => {
  for (const status of CREDENTIAL_STATUSES) {
    t.true(PAGE.includes(`| \`${status}\` |`), status);
    const { text } = bannerOf(allAre(status, undefined).status);
    t.true(PAGE.replaceAll("\n", " ").includes(`\`${text}\``), text);
  }
});
