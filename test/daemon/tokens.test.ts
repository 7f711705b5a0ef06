import test from "ava";
import { authenticator, Tokens } from "../../src/daemon/tokens.ts";
import { policy } from "../support/policies.ts";

test("an empty token is nobody's, even where the admin token is empty", (t) => {
  for (const admin of ["", "bg-secret"]) {
    const authenticate = authenticator(admin, new Tokens([]), () => policy({ upstreams: [] }));
    t.is(authenticate(""), undefined);
    t.is(authenticate("other"), undefined);
  }
  t.deepEqual(authenticator("bg-secret", new Tokens([]), () => policy({ upstreams: [] }))("bg-secret"), {
    id: "admin",
    role: "admin",
  });
});
