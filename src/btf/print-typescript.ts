/** The types of values that codec.ts gives, as TypeScript. */
import { MAX_CHAIN } from './kinds.ts';
import { btfFault } from './parse.ts';
import type { Btf, BtfMember } from './types.ts';

export interface TypeRoot {
  /** Name of the exported type. */
  readonly name: string;
  readonly typeId: number;
}

/** `export type` for each root, `export interface` for each struct, union and data section with a name that they contain. */
export function printTypeScript(btf: Btf, roots: readonly TypeRoot[]): string {
  const printer = new TypeScriptPrinter(btf, new Set(roots.map(({ name }) => name)));
  const aliases = roots.map(({ name, typeId }) => `export type ${name} = ${printer.typeText(typeId, 0)};\n`);
  return [...printer.interfaces.values(), ...aliases].join('\n');
}

/** Texts of types, and the interfaces that they need. `taken` are names that are not to be given to an interface. */
export class TypeScriptPrinter {
  readonly interfaces = new Map<number, string>();
  readonly #btf: Btf;
  readonly #names = new Map<number, string>();
  readonly #taken: Set<string>;

  constructor(btf: Btf, taken: Set<string>) {
    this.#btf = btf;
    this.#taken = taken;
  }

  typeText(typeId: number, depth = 0): string {
    if (depth > MAX_CHAIN) throw btfFault(`type ${typeId} is nested too deep`, undefined, 'SLUICE_BTF_LOOP');
    const { id, type } = this.#btf.resolve(typeId);
    switch (type?.kind) {
      case 'int':
        return type.bool ? 'boolean' : type.size > 4 ? 'bigint' : 'number';
      case 'enum':
      case 'enum64':
        return type.size > 4 ? 'bigint' : 'number';
      case 'float':
        return 'number';
      case 'ptr':
        return 'bigint';
      case 'var':
        return this.typeText(type.type, depth + 1);
      case 'array': {
        const { type: element } = this.#btf.resolve(type.type);
        if (element?.kind === 'int' && element.size === 1 && !element.bool) return 'Uint8Array';
        const text = this.typeText(type.type, depth + 1);
        return `readonly ${/^[\w.]+$/.test(text) ? text : `(${text})`}[]`;
      }
      case 'struct':
      case 'union':
        return type.name === ''
          ? `{ ${this.#members(type.members, depth).join('; ')} }`
          : this.#interface(id, type.name, () => this.#members(type.members, depth));
      case 'datasec':
        return this.#interface(id, type.name, () => {
          const variables = type.vars.flatMap((entry) => this.#btf.type(entry.type) ?? []);
          return variables.flatMap((variable) =>
            variable.kind === 'var' ? `${key(variable.name)}: ${this.typeText(variable.type, depth + 1)}` : [],
          );
        });
      default:
        throw btfFault(`type ${typeId}: ${type?.kind ?? 'void'} has no values`, undefined, 'SLUICE_BTF_NO_SIZE');
    }
  }

  #interface(id: number, name: string, members: () => string[]): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const base = name
      .replace(/^\W+/, '')
      .replace(/\W/g, '_')
      .replace(/^(?=\d)/, '_');
    let unique = base;
    for (let number = 2; this.#taken.has(unique); number++) unique = `${base}_${number}`;
    this.#taken.add(unique);
    this.#names.set(id, unique);
    // Those that it contains come first.
    const lines = members().map((member) => `  readonly ${member};\n`);
    this.interfaces.set(id, `export interface ${unique} {\n${lines.join('')}}\n`);
    return unique;
  }

  /** Members of anonymous structs and unions stand in the object around them. */
  #members(members: readonly BtfMember[], depth: number): string[] {
    return members.flatMap((member) => {
      if (member.name !== '') return [`${key(member.name)}: ${this.typeText(member.type, depth + 1)}`];
      const { type } = this.#btf.resolve(member.type);
      if (depth > MAX_CHAIN || (type?.kind !== 'struct' && type?.kind !== 'union')) return [];
      return this.#members(type.members, depth + 1);
    });
  }
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
