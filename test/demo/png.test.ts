import test, { type ExecutionContext } from "ava";
import { type Picture, paintPng } from "../../src/demo/png.ts";
import { readPng } from "./strict-png.ts";

const small = { width: 64, height: 48, prompt: "a lighthouse at dusk", seed: 7 };

async function check(t: ExecutionContext, given: Partial<Picture>): Promise<void> {
  const picture = { ...small, ...given };
  const { width, height } = readPng(await paintPng(picture));
  t.deepEqual({ width, height }, { width: picture.width, height: picture.height });
}

test("a picture of the asked size is a valid PNG", check, {});
test("a size that is no multiple of anything is a valid PNG", check, { width: 677, height: 131 });
test("a single pixel is a valid PNG", check, { width: 1, height: 1 });
test("a large picture, painted in strips, is a valid PNG", check, { width: 1568, height: 700 });

test("equal prompt and seed give equal bytes", async (t) => {
  t.deepEqual(await paintPng(small), await paintPng({ ...small }));
});

test("another seed or another prompt gives another picture", async (t) => {
  const first = await paintPng(small);
  t.notDeepEqual(first, await paintPng({ ...small, seed: 8 }));
  t.notDeepEqual(first, await paintPng({ ...small, prompt: "a lighthouse at dawn" }));
});

test("colours change smoothly: no sum of waves leaves its byte", async (t) => {
  const { pixels, width } = readPng(await paintPng({ ...small, width: 256, height: 256, seed: 1 }));
  let widest = 0;
  for (let i = 3; i < pixels.length; i++) {
    const isFirstOfRow = i % (width * 3) < 3;
    if (!isFirstOfRow) widest = Math.max(widest, Math.abs((pixels[i] ?? 0) - (pixels[i - 3] ?? 0)));
  }
  t.true(widest > 0 && widest < 16, `neighbours differ by up to ${widest}`);
});

test("the checker itself refuses a damaged PNG", async (t) => {
  const png = await paintPng(small);
  const flipped = Buffer.from(png);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  t.throws(() => readPng(flipped), { message: /CRC/ });
  t.throws(() => readPng(png.subarray(0, -12)), { message: /chunks are IHDR IDAT/ });
  t.throws(() => readPng(png.subarray(0, -1)), { message: /cut off/ });
});

test("painting stops when nobody waits for it", async (t) => {
  const leave = new AbortController();
  leave.abort();
  await t.throwsAsync(paintPng({ ...small, height: 1000 }, leave.signal), { name: "AbortError" });
});
