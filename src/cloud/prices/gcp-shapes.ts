// Google sells machines in parts: so many cores, so much memory, GPUs and local disk, each with a SKU of its
// own. This is what each GPU machine type is made of, as Google's machine-type pages have it; no API of the
// billing catalogue tells it.

export interface Shape {
  readonly type: string;
  /** First word of its core and memory SKUs. */
  readonly family: "A2" | "A3" | "G2" | "N1";
  readonly cores: bigint;
  readonly memoryGib: bigint;
  /** As its GPU's SKU is described. */
  readonly gpuSku: string;
  readonly gpu: string;
  readonly gpus: number;
  /** That cannot be left away. */
  readonly diskGib: bigint;
}

const A100 = { family: "A2", gpuSku: "Nvidia Tesla A100", gpu: "a100-40gb" } as const;
const A100_80 = { family: "A2", gpuSku: "Nvidia Tesla A100 80GB", gpu: "a100-80gb" } as const;
const H100 = { family: "A3", gpuSku: "Nvidia H100 80GB", gpu: "h100" } as const;
const L4 = { family: "G2", gpuSku: "Nvidia L4", gpu: "l4" } as const;
const T4 = { family: "N1", gpuSku: "Nvidia Tesla T4", gpu: "t4" } as const;

type Kind = Pick<Shape, "family" | "gpuSku" | "gpu">;

function of(
  kind: Kind,
  type: string,
  parts: readonly [cores: number, gib: number, gpus: number],
  disk = 0,
): Shape {
  const [cores, gib, gpus] = parts;
  return { ...kind, type, cores: BigInt(cores), memoryGib: BigInt(gib), gpus, diskGib: BigInt(disk) };
}

export const SHAPES: readonly Shape[] = [
  of(A100, "a2-highgpu-1g", [12, 85, 1]),
  of(A100, "a2-highgpu-2g", [24, 170, 2]),
  of(A100, "a2-highgpu-4g", [48, 340, 4]),
  of(A100, "a2-highgpu-8g", [96, 680, 8]),
  of(A100, "a2-megagpu-16g", [96, 1360, 16]),
  of(A100_80, "a2-ultragpu-1g", [12, 170, 1], 375),
  of(A100_80, "a2-ultragpu-2g", [24, 340, 2], 750),
  of(A100_80, "a2-ultragpu-4g", [48, 680, 4], 1500),
  of(A100_80, "a2-ultragpu-8g", [96, 1360, 8], 3000),
  of(H100, "a3-highgpu-1g", [26, 234, 1], 750),
  of(H100, "a3-highgpu-2g", [52, 468, 2], 1500),
  of(H100, "a3-highgpu-4g", [104, 936, 4], 3000),
  of(H100, "a3-highgpu-8g", [208, 1872, 8], 6000),
  of(L4, "g2-standard-4", [4, 16, 1]),
  of(L4, "g2-standard-8", [8, 32, 1]),
  of(L4, "g2-standard-12", [12, 48, 1]),
  of(L4, "g2-standard-16", [16, 64, 1]),
  of(L4, "g2-standard-24", [24, 96, 2]),
  of(L4, "g2-standard-32", [32, 128, 1]),
  of(L4, "g2-standard-48", [48, 192, 4]),
  of(L4, "g2-standard-96", [96, 384, 8]),
  of(T4, "n1-standard-4+nvidia-tesla-t4", [4, 15, 1]),
];
