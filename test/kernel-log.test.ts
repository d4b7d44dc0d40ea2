// Our verifier's log beside the kernel's, line by line: tools that read the one shall read the other.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { possibleCpus } from '../src/linux/cpus.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { ProgramRefusedError } from '../src/linux/syscall-error.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { KernelLog } from '../src/verifier/explanation/kernel-log.ts';
import { verify } from '../src/verifier/verify.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct { __uint(type, 1); __type(key, u32); __type(value, u64); __uint(max_entries, 4); } counts SEC(".maps");
static __noinline int triple(u32 x) { return x * 3; }
SEC("xdp") int good(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 14 > end)
		return 1;
	u32 key = data[13] & 3;
	u64 *value = bpf_map_lookup_elem(&counts, &key);
	if (!value)
		return 1;
	*value += data[12];
	for (int i = 0; i < 4; i++)
		if (data[i] == key)
			return triple(i);
	return 2;
}
SEC("xdp") int bad(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 14 > end)
		return 1;
	if (data[2])
		return 2;
	return data[14];
}
char _license[] SEC("license") = "GPL";
`;

function ours(spec: ObjectSpec, name: string, level: number): string[] {
  const log = new KernelLog(level);
  const program = spec.programs.get(name)!;
  const verdict = verify(
    { program, maps: spec.maps, license: spec.license, btf: spec.btf },
    { observer: log, cpus: possibleCpus() },
  );
  return log.finish(verdict).split('\n');
}

function kernels(spec: ObjectSpec, name: string, level: number): string[] {
  let log = '';
  try {
    const loaded = loadLinux(spec, { programs: [name], logLevel: level });
    log = loaded.programs[name]!.log;
    loaded.close();
  } catch (error) {
    if (!(error instanceof ProgramRefusedError)) throw error;
    log = error.log;
  }
  return log.slice(log.search(/^0: R1/m)).split('\n');
}

/** Without what may differ: addresses, ids, and what the kernel tells of its liveness analysis. */
const comparable = (lines: string[]) =>
  lines
    .filter((line) => !/^\(\d+\) |^processed/.test(line))
    .map((line) => line.replace(/= 0x(ffff[0-9a-f]+|0) +;/, '= ADDRESS ;').replace(/\bid=\d+/g, 'id=N'));

const refusal = bpfRefusal();
const reason = refusal !== undefined ? ` (skipped: ${refusal})` : noClang;

describe.skipIf(refusal !== undefined || clangs.length === 0)(`the log of Linux${reason}`, () => {
  const spec = readObject(compileBpf(source), 'log.bpf.o');

  it.each([
    ['good', 2],
    ['bad', 1],
    ['bad', 2],
  ])('%s at level %i: the same lines', (name, level) => {
    expect(comparable(ours(spec, name, level))).toEqual(comparable(kernels(spec, name, level)));
  });

  it('is nothing but counts for an accepted program at level 1', () => {
    expect(ours(spec, 'good', 1)).toEqual([expect.stringMatching(/^processed \d+ insns \(limit 1000000\) /), '']);
  });

  it('of a real program: nine lines of ten are the same', () => {
    const path = fileURLToPath(new URL('../bpf/objects/xdp_parser.bpf.o', import.meta.url));
    const object = readObject(readFileSync(path), 'xdp_parser.bpf.o');
    const mine = comparable(ours(object, 'xdp_parser', 2));
    const theirs = new Set(comparable(kernels(object, 'xdp_parser', 2)));
    const same = mine.filter((line) => theirs.has(line)).length;
    expect(mine.length).toBeGreaterThan(200);
    expect(same / mine.length).toBeGreaterThan(0.9);
  });
});
