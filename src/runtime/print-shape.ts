/** An ObjectSpec as a TypeScript module: the shape that `load` takes, the types of its keys, values and events, and its layout. */
import { programDeclarations } from '../abi/programs/index.ts';
import { TypeScriptPrinter } from '../btf/print-typescript.ts';
import type { Btf } from '../btf/types.ts';
import { mapLayout } from '../object/map-layout.ts';
import type { MapSpec, ObjectSpec } from '../object/spec.ts';
import { perCpuTypes } from './typed-map.ts';

/** Names that the module uses itself or that TypeScript keeps. */
const reserved =
  'any bigint boolean never null number object string symbol undefined unknown void break case catch class const continue debugger default delete do else enum export extends false finally for function if implements import in instanceof interface let new package private protected public return static super switch this throw true try type typeof var while with yield layout MapHandle ObjectLayout ProgramHandle RingbufHandle Uint8Array Value'.split(
    ' ',
  );

/** The same object gives the same text. @param name of the shape, a TypeScript identifier. */
export function printShape(object: ObjectSpec, name: string): string {
  const { btf } = object;
  const printer = btf === undefined ? undefined : new TypeScriptPrinter(btf, new Set([...reserved, name]));
  const used = new Set<string>(['ObjectLayout']);
  const programs = [...object.programs.values()].map((program) => {
    const struct = program.type === undefined ? undefined : programDeclarations.get(program.type)?.context.struct;
    const context = struct === undefined ? '' : `, context struct ${struct}`;
    used.add('ProgramHandle');
    return [
      `    /** ${comment(`${program.section}: ${program.type ?? 'unknown type'}${context}`)} */`,
      `    readonly ${key(program.name)}${program.autoload ? '' : '?'}: ProgramHandle;`,
    ].join('\n');
  });
  const maps = [...object.maps.values()].map((map) => {
    const handle = handleText(map, btf, printer);
    for (const word of ['MapHandle', 'RingbufHandle', 'Value'])
      if (new RegExp(`\\b${word}\\b`).test(handle)) used.add(word);
    return [
      `    /** ${comment(`${map.type}, ${map.maxEntries} ${map.type === 'ringbuf' ? 'bytes' : 'entries'}`)} */`,
      `    readonly ${key(map.name)}: ${handle};`,
    ].join('\n');
  });
  const imports = [...used].sort();
  return `// Made by sluice gen types from ${comment(object.name)}: make it again when the object changes.
import type { ${imports.join(', ')} } from 'sluice';

${[...(printer?.interfaces.values() ?? [])].join('\n')}
/** Handles of ${comment(object.name)}: \`load(bytes, { layout })\`. */
export interface ${name} {
  readonly programs: {
${programs.join('\n')}
  };
  readonly maps: {
${maps.join('\n')}
  };
}

/** Sizes and offsets that these types stand for; \`load\` compares them with the object. */
export const layout: ObjectLayout<${name}> = ${layoutTextOf(object)};
`;
}

function layoutTextOf(object: ObjectSpec): string {
  const programs = [...object.programs.values()].map(
    (program) => `    ${key(program.name)}: ${quote(program.type ?? '')},\n`,
  );
  const maps = [...object.maps.values()].map((map) => {
    const { type, key: keys, value } = mapLayout(object, map);
    return `    ${key(map.name)}: {\n      type: ${quote(type)},\n      key: ${quote(keys)},\n      value: ${quote(value)},\n    },\n`;
  });
  return `{\n  programs: {\n${programs.join('')}  },\n  maps: {\n${maps.join('')}  },\n}`;
}

function handleText(map: MapSpec, btf: Btf | undefined, printer: TypeScriptPrinter | undefined): string {
  const typed = (typeId: number, size: number | undefined): string | undefined =>
    btf === undefined || printer === undefined || typeId === 0 || (size !== undefined && btf.sizeOf(typeId) !== size)
      ? undefined
      : printer.typeText(typeId);
  if (map.type === 'ringbuf') return `RingbufHandle<${typed(map.valueTypeId, undefined) ?? 'Uint8Array'}>`;
  const keys = typed(map.keyTypeId, map.keySize) ?? bySize(map.keySize);
  const value = typed(map.valueTypeId, map.valueSize) ?? bySize(map.valueSize);
  // An array of one's own spelling: `readonly` binds to it.
  const values = !perCpuTypes.has(map.type) ? value : `readonly ${/^\w+$/.test(value) ? value : `(${value})`}[]`;
  return `MapHandle<${keys}, ${values}>`;
}

/** As rawCodec in btf/codec.ts reads bytes without a type. */
function bySize(size: number): string {
  return size === 4 ? 'number' : size === 8 ? 'bigint' : 'Uint8Array';
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}

function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'").replaceAll('\\"', '"')}'`;
}

/** Names come from the object: they must not end the comment. */
function comment(text: string): string {
  return text.replace(/[\p{Cc}]/gu, '?').replaceAll('*/', '* /');
}

/** `xdp_firewall.bpf.o` -> `XdpFirewall`. */
export function shapeName(object: string): string {
  const words = object.replace(/\..*$/, '').split(/[^A-Za-z0-9]+/);
  const name = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  return /^[A-Za-z]/.test(name) ? name : `Object${name}`;
}
