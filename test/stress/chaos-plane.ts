/**
 * A plane that stops for a moment, now and then, before any access to the memory of those that other CPUs might see: it spins, or sleeps, so that another thread comes
 * in. Orders that the scheduler gives once in an hour on two cores are common so. The same build has the mutations of mutations.ts, all of them off.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PLANE_DATA, ROOT } from '../../src/plane/layout/memory.ts';
import { type Mutation, mutations } from './mutations.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const assembly = join(root, 'src/plane/assembly');

// Words of the root that nothing else uses: number of the mutation that is on, from 1 on; one access in so many stops, 0: none does; a word that nobody notifies;
// states of the CPUs' random numbers.
export const SWITCH = ROOT + 4088;
const EVERY = ROOT + 4080;
const IDLE = ROOT + 4076;
const RANDOM = ROOT + 3072;

/** Rooms of the plane that are shared by CPUs. What stops in a lock of the slabs would only make all slow. */
const rooms = /^(maps|kfuncs|fields|locks)\/|^slab\/epoch\.ts$|^objects\.ts$/;

const chaosText = `
import { WORKER } from './worker';

/** Now and then: time for another CPU. */
function chaos(): void {
  const every = load<u32>(${EVERY});
  if (every == 0) return;
  const at: usize = ${RANDOM} + (load<u32>(WORKER) << 2);
  let x = load<u32>(at);
  if (x == 0) x = <u32>at * 0x9e3779b1;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  store<u32>(at, x);
  if (x % every != 0) return;
  if ((x >> 28) < 5) atomic.wait<i32>(${IDLE}, 0, 1000);
  else for (let i = (x >> 20) & 127; i != 0; i--) atomic.load<u32>(${IDLE});
}
${['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'xchg', 'cmpxchg']
  .map((name) => {
    const values = name === 'load' ? [] : name === 'cmpxchg' ? ['expected', 'value'] : ['value'];
    const declared = ['at: usize', ...values.map((value) => `${value}: T`), 'offset: usize = 0'].join(', ');
    const result = name === 'store' ? 'void' : 'T';
    return `
// @ts-ignore: decorator
@inline
export function chaos_${name}<T>(${declared}): ${result} {
  chaos();
  ${name === 'store' ? '' : 'return '}atomic.${name}<T>(${['at + offset', ...values].join(', ')});
}`;
  })
  .join('\n')}

// @ts-ignore: decorator
@inline
export function plain_store<T, V = T>(at: usize, value: V, offset: usize = 0): void {
  chaos();
  store<T>(at + offset, <T>value);
}
`;

const names = ['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'xchg', 'cmpxchg'];

/** The text with a stop before each access. */
function withStops(text: string, from: string): string {
  const stopped = text
    .replaceAll(/\batomic\.(load|store|add|sub|and|or|xor|xchg|cmpxchg)</g, 'chaos_$1<')
    .replaceAll(/(?<![\w.])store<(\w+)>\(/g, 'plain_store<$1>(');
  return `import { ${[...names.map((name) => `chaos_${name}`), 'plain_store'].join(', ')} } from '${from}';\n${stopped}`;
}

function sourcesOf(folder: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) texts.set(relative(folder, path), readFileSync(path, 'utf8'));
  }
  return texts;
}

export function mutate(texts: Map<string, string>, all: readonly Mutation[]): void {
  for (const [i, { guard, patches }] of all.entries()) {
    for (const [file, from, to] of patches) {
      const text = texts.get(file);
      if (text === undefined || text.split(from).length !== 2)
        throw new Error(`mutation "${guard}": a place does not stand in ${file} once: ${from}`);
      texts.set(
        file,
        text.replace(from, () => to.replaceAll('OFF', `(load<u32>(${SWITCH}) == ${i + 1})`)),
      );
    }
  }
}

function build(texts: ReadonlyMap<string, string>): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
  try {
    cpSync(join(root, 'src/plane/layout'), join(folder, 'layout'), { recursive: true });
    for (const [file, text] of texts) {
      const path = join(folder, 'assembly', file);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
    }
    const wasm = join(folder, 'plane.wasm');
    const options = ['-O0', '--runtime', 'stub', '--noAssert', '--importMemory', '--importTable', '--sharedMemory'];
    const features = ['--enable', 'threads,bulk-memory,simd', '--initialMemory', '64', '--maximumMemory', '65536'];
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
    const entry = [asc, join(folder, 'assembly/index.ts'), '-o', wasm];
    const place = ['--memoryBase', String(PLANE_DATA), '--use', 'abort='];
    const { status, stderr } = spawnSync(process.execPath, [...entry, ...options, ...features, ...place], {
      encoding: 'utf8',
      cwd: root,
    });
    if (status !== 0) throw new Error(stderr);
    return readFileSync(wasm);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sources of the plane, by their place in src/plane/assembly. */
export function planeSources(): Map<string, string> {
  return sourcesOf(assembly);
}

let compiled: WebAssembly.Module | undefined;

/** The plane with stops and mutations; built at most once for the same sources (2 s). */
export function chaosPlane(): WebAssembly.Module {
  if (compiled !== undefined) return compiled;
  const texts = planeSources();
  mutate(texts, mutations);
  for (const [file, text] of texts)
    if (rooms.test(file)) texts.set(file, withStops(text, file.includes('/') ? '../chaos' : './chaos'));
  texts.set('chaos.ts', chaosText);
  compiled = builtPlane(texts, 'chaos');
  return compiled;
}

/** The plane of these sources, kept among those of its kind. */
export function builtPlane(texts: ReadonlyMap<string, string>, kind: string): WebAssembly.Module {
  const layout = [...sourcesOf(join(root, 'src/plane/layout'))];
  const name = createHash('sha256')
    .update(JSON.stringify([[...texts], layout]))
    .digest('hex')
    .slice(0, 24);
  const folder = join(root, `node_modules/.cache/sluice-${kind}`);
  const path = join(folder, `${name}.wasm`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    for (const old of readdirSync(folder)) if (old.endsWith('.wasm')) rmSync(join(folder, old), { force: true });
    // Other processes may be at the same.
    writeFileSync(`${path}.${process.pid}`, build(texts));
    renameSync(`${path}.${process.pid}`, path);
  }
  return new WebAssembly.Module(readFileSync(path));
}

export interface Chaos {
  readonly module: WebAssembly.Module;
  readonly prepare: (memory: WebAssembly.Memory) => void;
}

/** For `stress`: one access in about `every` stops, and `mutation`, if there is one, is on. */
export function chaos(every = 60, mutation?: Mutation): Chaos {
  const number = mutation === undefined ? 0 : mutations.indexOf(mutation) + 1;
  const prepare = (memory: WebAssembly.Memory) => {
    const view = new DataView(memory.buffer);
    view.setUint32(EVERY, every, true);
    view.setUint32(SWITCH, number, true);
  };
  return { module: chaosPlane(), prepare };
}
