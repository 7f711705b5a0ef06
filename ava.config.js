export default {
  extensions: ["ts"],
  files: ["test/**/*.test.ts"],
  // Node 24, the floor, has no Temporal of its own.
  require: ["./src/daemon/temporal.ts", "./test/support/note-file.ts", "./test/support/end-leftovers.ts"],
  timeout: "120s",
};
