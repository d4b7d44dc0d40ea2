/**
 * The verifier against the kernel's own selftests: reads objects compiled from tools/testing/selftests/bpf/progs, takes the expected verdicts
 * from their BTF decl tags and the kernel's from bpf(2), and prints per object how often ours agrees, is stricter, laxer, or
 * unsupported. Usage (bundled, see scripts/verifier-parity.mjs): verifier-parity DIR [FILTER] [--list KIND] [--cache FILE]
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyCoreRelocations } from '../src/btf/core.ts';
import type { Btf } from '../src/btf/types.ts';
import { vmlinuxBtf } from '../src/linux/btf-vmlinux.ts';
import { possibleCpus } from '../src/linux/cpus.ts';
import { loadLinux } from '../src/linux/load.ts';
import { readObject } from '../src/object/index.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../src/object/spec.ts';
import { type Verdict, verify } from '../src/verifier/verify.ts';

interface KernelVerdict {
  readonly verdict: 'accept' | 'reject' | 'none';
  readonly log: string;
}

const args = process.argv.slice(2);
const option = (name: string) => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const list = option('--list')?.split(',');
const cachePath = option('--cache');
const everything = args.includes('--all') && args.splice(args.indexOf('--all'), 1).length > 0;
const verbose = option('--program');
const [dir, filter] = args;
const cache: Record<string, KernelVerdict> =
  cachePath !== undefined && existsSync(cachePath) ? JSON.parse(readFileSync(cachePath, 'utf8')) : {};

function tagsByFunction(btf: Btf): Map<string, string[]> {
  const tags = new Map<string, string[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type?.kind !== 'decl_tag' || !type.name.startsWith('comment:')) continue;
    const func = btf.type(type.type);
    if (func?.kind !== 'func') continue;
    const found = tags.get(func.name) ?? [];
    found.push(type.name.slice('comment:'.length));
    tags.set(func.name, found);
  }
  return tags;
}

const flagBits: Readonly<Record<string, number>> = {
  BPF_F_STRICT_ALIGNMENT: 1,
  BPF_F_ANY_ALIGNMENT: 2,
  BPF_F_TEST_RND_HI32: 4,
  BPF_F_TEST_STATE_FREQ: 8,
  BPF_F_SLEEPABLE: 16,
  BPF_F_XDP_HAS_FRAGS: 32,
  BPF_F_TEST_REG_INVARIANTS: 128,
};

function flagsOf(tags: readonly string[]): number {
  let flags = 0;
  for (const tag of tags)
    if (tag.startsWith('test_prog_flags=')) {
      const text = tag.slice('test_prog_flags='.length);
      flags |= flagBits[text] ?? Number(text);
    }
  return flags;
}

/** Without maps that the program does not use; ring buffers whose size the test's user-space part sets get one. */
function loadable(spec: ObjectSpec, program: ProgramSpec): ObjectSpec {
  const used = new Set<string>();
  for (const reference of program.references.values())
    if (reference.kind === 'map' || reference.kind === 'map-value') used.add(reference.map);
    else if (reference.kind === 'kconfig') used.add('.kconfig');
  const maps = [...spec.maps].flatMap(([name, map]): [string, MapSpec][] => {
    if (!used.has(name)) return [];
    const ring = map.type === 'ringbuf' || map.type === 'user_ringbuf';
    return [[name, ring && map.maxEntries < 4096 ? { ...map, maxEntries: 4096 } : map]];
  });
  return { ...spec, maps: new Map(maps) };
}

function kernelVerdict(key: string, spec: ObjectSpec, program: ProgramSpec, flags: number): KernelVerdict {
  let known = cache[key];
  if (known === undefined) {
    try {
      loadLinux(loadable(spec, program), { programs: [program.name], flags }).close();
      known = { verdict: 'accept', log: '' };
    } catch (error) {
      const e = error as { name: string; message: string; log?: string };
      known = { verdict: e.name === 'ProgramRefusedError' ? 'reject' : 'none', log: (e.log ?? e.message).slice(-1500) };
    }
    cache[key] = known;
  }
  return known;
}

interface Row {
  agree: number;
  stricter: number;
  laxer: number;
  unsupported: number;
}
const total: Row = { agree: 0, stricter: 0, laxer: 0, unsupported: 0 };
const features = new Map<string, number>();
let messages = 0;
let messagesOk = 0;
let spent = 0;
for (const file of readdirSync(dir!).sort()) {
  if (!file.endsWith('.o') || (filter !== undefined && !file.includes(filter))) continue;
  let spec: ObjectSpec;
  try {
    spec = readObject(readFileSync(join(dir!, file)), file);
  } catch (error) {
    console.log(`UNREADABLE ${file}: ${(error as Error).message}`);
    continue;
  }
  const tags = spec.btf === undefined ? new Map<string, string[]>() : tagsByFunction(spec.btf);
  const row: Row = { agree: 0, stricter: 0, laxer: 0, unsupported: 0 };
  for (const program of spec.programs.values()) {
    const own = tags.get(program.name) ?? [];
    const success = own.includes('test_expect_success');
    const failure = own.includes('test_expect_failure');
    if (!success && !failure && !everything) continue;
    if (verbose !== undefined && verbose !== program.name) continue;
    if (own.some((tag) => tag.startsWith('test_arch=') && !tag.includes('X86'))) continue;
    const flags = flagsOf(own);
    const kernel = kernelVerdict(`${file}:${program.name}`, spec, program, flags);
    // Without a tag only the kernel can say.
    if (kernel.verdict === 'none' && !success && !failure) continue;
    const expected = kernel.verdict === 'none' ? (success ? 'accept' : 'reject') : kernel.verdict;
    let ours: Verdict;
    const started = performance.now();
    try {
      const relocated =
        program.coreRelocations.length > 0
          ? applyCoreRelocations(program, spec.btf!, vmlinuxBtf()).insns.slice()
          : program.insns;
      ours = verify(
        { program: { ...program, insns: relocated }, maps: spec.maps, license: spec.license, btf: spec.btf },
        { strictAlignment: (flags & 1) !== 0, cpus: possibleCpus(), vmlinux: vmlinuxBtf() },
      );
    } catch (error) {
      console.log(`CRASH ${file}:${program.name}: ${(error as Error).stack}`);
      row.stricter++;
      continue;
    }
    const time = performance.now() - started;
    spent += time;
    const kind =
      ours.verdict === 'unsupported'
        ? 'unsupported'
        : ours.verdict === expected
          ? 'agree'
          : expected === 'accept'
            ? 'stricter'
            : 'laxer';
    row[kind]++;
    if (kind === 'unsupported') features.set(ours.feature!, (features.get(ours.feature!) ?? 0) + 1);
    if (ours.verdict === 'reject' && kind === 'agree' && kernel.log !== '') {
      messages++;
      const text = ours.diagnostics[0]!.problem.split('\n');
      if (text.every((line) => kernel.log.includes(line))) messagesOk++;
      else if (list?.includes('message'))
        console.log(
          `MESSAGE ${file}:${program.name}\n  ours: ${text.join(' | ')}\n  kernel: ${kernel.log.split('\n').slice(-6).join(' | ')}`,
        );
    }
    if (list?.includes(kind) || verbose !== undefined || time > 2000) {
      console.log(
        `${kind.toUpperCase()} ${file}:${program.name} (tag ${success ? 'success' : 'failure'}, kernel ${kernel.verdict}) ${time.toFixed(1)} ms, ${ours.stats.insns} insns ${ours.stats.states} states`,
      );
      if (ours.verdict !== 'accept')
        console.log(`  ours: ${ours.diagnostics[0]!.slot}: ${ours.diagnostics[0]!.problem.replaceAll('\n', ' | ')}`);
      if (kernel.log !== '') console.log(`  kernel: ${kernel.log.trim().split('\n').slice(-4).join(' | ')}`);
    }
  }
  for (const kind of ['agree', 'stricter', 'laxer', 'unsupported'] as const) total[kind] += row[kind];
  const count = row.agree + row.stricter + row.laxer + row.unsupported;
  if (count > 0 && list === undefined)
    console.log(
      `${file.padEnd(52)} ${String(row.agree).padStart(4)} ${String(row.stricter).padStart(4)} ${String(row.laxer).padStart(4)} ${String(row.unsupported).padStart(4)}`,
    );
}
if (cachePath !== undefined) writeFileSync(cachePath, JSON.stringify(cache));
for (const [feature, count] of [...features].sort((a, b) => b[1] - a[1]).slice(0, 40))
  console.log(`  unsupported ${count} ${feature}`);
console.log(
  `agree ${total.agree}, stricter ${total.stricter}, laxer ${total.laxer}, unsupported ${total.unsupported}; messages ${messagesOk}/${messages}; ${spent.toFixed(0)} ms`,
);
