// Where bin/budgetguard.js enters. Temporal is installed before anything that tells time is imported, so
// everything else is imported from here on demand.

if (!("Temporal" in globalThis)) await import("temporal-polyfill/global");
const { terminalOf } = await import("./terminal.ts");
const { run } = await import("./program.ts");

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read has gone (`budgetguard status | head -1`): what is left to say is said to nobody.
    if (error.code !== "EPIPE") throw error;
  });
}
process.exitCode = await run(process.argv.slice(2), terminalOf(process));
