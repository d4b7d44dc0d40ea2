// Writes src/abi/kfunc-prototypes.ts from the BTF of this machine's kernel: prototypes of the kfuncs of src/abi/linux-kfuncs.ts, and the
// sizes of the structs that they point to. Rows that the kernel was not configured for are kept as they stand.
// Usage: node scripts/kfunc-prototypes.mjs [VMLINUX_BTF]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [source = '/sys/kernel/btf/vmlinux'] = process.argv.slice(2);
const target = join(root, 'src/abi/kfunc-prototypes.ts');
const dir = join(root, 'node_modules/.cache/kfunc-prototypes');
mkdirSync(dir, { recursive: true });

async function bundled(name, input) {
  const bundle = await rolldown({ input: join(root, input), platform: 'node' });
  const file = join(dir, `${name}.mjs`);
  await bundle.write({ file, format: 'esm' });
  return import(pathToFileURL(file));
}
const { parseBtf } = await bundled('parse', 'src/btf/parse.ts');
const { linuxKfuncs } = await bundled('kfuncs', 'src/abi/linux-kfuncs.ts');
const before = await bundled('before', 'src/abi/kfunc-prototypes.ts');

const btf = parseBtf(new Uint8Array(readFileSync(source)));
const structs = new Map(Object.entries(before.kfuncStructs));

function scalarOnly(id, depth = 0) {
  const { type } = btf.resolve(id);
  if (depth > 4 || type === undefined) return false;
  return type.members.every((member) => {
    const inner = btf.resolve(member.type);
    if (inner.type?.kind === 'struct' || inner.type?.kind === 'union') return scalarOnly(inner.id, depth + 1);
    const element = inner.type?.kind === 'array' ? btf.resolve(inner.type.type).type : inner.type;
    return ['int', 'enum', 'enum64'].includes(element?.kind);
  });
}

function text(id) {
  let constant = false;
  let type = btf.type(id);
  let at = id;
  let arena = false;
  while (type !== undefined && ['const', 'volatile', 'typedef', 'restrict', 'type_tag'].includes(type.kind)) {
    constant ||= type.kind === 'const';
    arena ||= type.kind === 'type_tag' && type.name === 'address_space(1)';
    at = type.type;
    type = btf.type(at);
  }
  const prefix = (constant ? 'const ' : '') + (arena ? '__arena ' : '');
  switch (type?.kind) {
    case undefined:
      return `${prefix}void`;
    case 'int':
      if (type.bool) return `${prefix}bool`;
      if (type.name === 'char') return `${prefix}char`;
      return `${prefix}${type.signed ? 's' : 'u'}${type.size * 8}`;
    case 'enum':
    case 'enum64':
      return `${prefix}enum ${type.name || 'anonymous'}`;
    case 'struct':
    case 'union':
      structs.set(type.name, [type.size, scalarOnly(at)]);
      return `${prefix}${type.kind} ${type.name}`;
    case 'fwd':
      return `${prefix}struct ${type.name}`;
    case 'func_proto':
      return 'function';
    case 'ptr':
      return `${text(type.type)} *`;
    default:
      throw new Error(`${type.kind} in a kfunc`);
  }
}

const rows = new Map(Object.entries(before.kfuncPrototypes));
let found = 0;
for (const { name } of linuxKfuncs.values()) {
  const id = btf.find(name, 'func');
  if (id === undefined) continue;
  const proto = btf.type(btf.type(id).type);
  const params = proto.params.map(({ name: param, type }) => `${text(type)} ${param}`.replace('* ', '*'));
  rows.set(name, `${text(proto.returns)}(${params.join(', ')})`);
  found++;
}

const sorted = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const lines = [
  '/**',
  ' * C prototypes of the kfuncs of Linux 6.18, and sizes of the structs that they point to. Facts from BTF, written by',
  ' * scripts/kfunc-prototypes.mjs; rows that the kernel of the machine did not have stand as they were entered, from the documentation.',
  ' * Types are without typedefs: s8 … u64, bool, char, `enum NAME`, `struct NAME`, `function`. Suffixes of names mean something to the',
  ' * verifier (Documentation/bpf/kfuncs.rst). Read by kfunc-signature.ts.',
  ' */',
  'export const kfuncPrototypes: Readonly<Record<string, string>> = {',
  ...sorted(rows).map(([name, row]) => `  ${name}: '${row}',`),
  '};',
  '',
  '/** Size in bytes; and whether all members are scalars, or structs and arrays of scalars. */',
  'export const kfuncStructs: Readonly<Record<string, readonly [size: number, scalars: boolean]>> = {',
  ...sorted(structs).map(([name, [size, scalars]]) => `  ${name}: [${size}, ${scalars}],`),
  '};',
  '',
];
writeFileSync(target, lines.join('\n'));
process.stderr.write(`${found} kfuncs from ${source}, ${rows.size} in all\n`);
