// The house rule on imports: rooms import one way, and only linux/, bench/, testing/ and cli/ know the machine.
// Prints each import that breaks it and exits 1.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const src = join(root, 'src');

// What each room may import besides itself, errors.ts and plane/layout (constants only).
const allowed = {
  isa: [],
  btf: ['isa'],
  abi: ['isa', 'btf'],
  net: [],
  traits: [],
  object: ['isa', 'btf', 'abi', 'traits'],
  verifier: ['isa', 'btf', 'abi', 'object', 'traits'],
  jit: ['isa', 'btf', 'abi', 'object', 'verifier'],
  interpreter: ['isa', 'btf', 'abi', 'object'],
  plane: [],
  runtime: ['isa', 'btf', 'abi', 'object', 'verifier', 'jit', 'interpreter', 'plane', 'net', 'traits'],
  hooks: ['isa', 'btf', 'abi', 'object', 'verifier', 'jit', 'interpreter', 'plane', 'net', 'traits', 'runtime'],
  witness: ['isa', 'btf', 'abi', 'object', 'verifier', 'interpreter', 'net', 'runtime', 'hooks'],
  linux: ['isa', 'btf', 'abi', 'object', 'net', 'traits', 'runtime', 'hooks', 'plane'],
  testing: ['isa', 'btf', 'abi', 'object', 'net', 'traits', 'runtime', 'hooks', 'linux', '.'],
  bench: [
    'isa',
    'btf',
    'abi',
    'object',
    'verifier',
    'jit',
    'interpreter',
    'plane',
    'net',
    'traits',
    'runtime',
    'hooks',
    'linux',
    'testing',
    '.',
  ],
  cli: [
    'witness',
    'bench',
    'testing',
    'isa',
    'btf',
    'abi',
    'object',
    'verifier',
    'jit',
    'interpreter',
    'plane',
    'net',
    'traits',
    'runtime',
    'hooks',
    'linux',
    '.',
  ],
};
const mayKnowTheMachine = new Set(['linux', 'cli', 'bench', 'testing']);

function* sources(dir) {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) {
      if (name !== 'assembly' && name !== 'generated') yield* sources(path);
    } else if (name.endsWith('.ts') && !name.endsWith('.test.ts')) yield path;
  }
}

let broken = 0;
for (const file of sources(src)) {
  const here = relative(src, file);
  const room = here.includes('/') ? here.split('/')[0] : '.';
  for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    if (room === '.') continue; // index.ts and errors.ts: the public face
    if (target.startsWith('node:') || target === 'koffi') {
      if (!mayKnowTheMachine.has(room)) report(here, target, 'only linux/, bench/, testing/ and cli/ know the machine');
      continue;
    }
    if (!target.startsWith('.')) continue;
    const to = relative(src, resolve(dirname(file), target));
    const toRoom = to.includes('/') ? to.split('/')[0] : '.';
    if (toRoom === room || to === 'errors.ts' || to.startsWith('plane/layout/')) continue;
    if (!allowed[room]?.includes(toRoom))
      report(here, to, `${room} may import only: ${allowed[room]?.join(' ') || 'itself'}`);
  }
}
function report(from, to, why) {
  broken++;
  process.stderr.write(`src/${from} imports ${to}: ${why}\n`);
}
if (broken > 0) process.exit(1);
