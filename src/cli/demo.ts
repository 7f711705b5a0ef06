// `budgetguard demo`: the whole gateway before two simulated NIMs; and `demo nim`: one of them alone.

import { InvalidArgumentError } from "commander";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { type Host, untilStopped } from "./signals.ts";
import { say, sayJson, type Terminal } from "./terminal.ts";

export const defineDemo: DefineCommand = (command, terminal, end) => {
  command
    .option("--once", "end after the last step; exit 1 if a step did not do what it says")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  $ budgetguard demo --once")
    .action(async ({ once, json }: { once?: true; json?: true }) => {
      const stopped = untilStopped(process);
      const { runDemo } = await import("../demo/run.ts");
      const { makeTell } = await import("../demo/tell.ts");
      const tell = makeTell(json === true);
      const isDone = (await runDemo({ once: once === true, tell, stopped })) === 0;
      end(isDone ? EXIT.ok : EXIT.problem);
    });
  const nim = command.command("nim").description("run one simulated NIM until Ctrl-C");
  nim
    .requiredOption("--port <port>", "where it listens on 127.0.0.1; 0 takes a free port", portOf)
    .option("--scale <scale>", "real seconds for each simulated second; 0 answers at once", scaleOf)
    .option("--model <id...>", "the models that it serves (flux.1-dev)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  $ budgetguard demo nim --port 8000 --model flux.1-dev")
    .action(async () => end(await runNim(terminal, nim.optsWithGlobals<NimChoices>(), process)));
};

interface NimChoices {
  readonly port: number;
  readonly scale?: number;
  readonly model?: readonly string[];
  readonly json?: true;
}

async function runNim(terminal: Terminal, choices: NimChoices, host: Host): Promise<ExitCode> {
  const { startNim } = await import("../demo/nim.ts");
  const { port, scale, model, json } = choices;
  const started = await startNim({
    port,
    ...(scale === undefined ? {} : { scale }),
    ...(model === undefined ? {} : { models: model }),
  }).catch((error: Error) => error);
  if (started instanceof Error) {
    say(terminal.err, started.message);
    return EXIT.problem;
  }
  const stopped = untilStopped(host);
  if (json) sayJson(terminal.out, { url: started.url, port: started.port });
  else say(terminal.out, `a simulated NIM answers at ${started.url}/v1/infer; Ctrl-C ends it`);
  await stopped;
  await started.close();
  return EXIT.ok;
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new InvalidArgumentError("Write a port from 0 to 65535.");
}

function scaleOf(text: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Write a number such as 0.02.");
}
