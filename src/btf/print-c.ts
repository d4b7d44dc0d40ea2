/** Types as C declarations that a compiler lays out in the same way (as `bpftool btf dump format c`). */
import { InputError } from '../errors.ts';
import { structLines } from './print-c-struct.ts';
import type { Btf, BtfType } from './types.ts';

/** Deeper nesting of types than any compiler takes. */
const MAX_DEPTH = 256;
/** A name that every compiler has for a type of its own; what it stands for is written instead. */
const BUILT_IN = '__builtin_va_list';
/** Members and parameters in all: kernels have a million. */
const MAX_ITEMS = 20_000_000;

/**
 * Declarations of the types with the given ids and of all that they need, each before it is used; without ids, of all types.
 * Names that occur twice get a suffix: `___2`. Throws InputError `SLUICE_BTF_…` for types that contain themselves.
 */
export function printC(btf: Btf, ids?: readonly number[]): string {
  const printer = new CPrinter(btf);
  if (ids === undefined) for (let id = 1; id < btf.typeCount; id++) printer.define(id);
  else for (const id of ids) printer.define(id);
  return printer.text();
}

/** One variable, member or typedef: `int (*name)(void)`. Names of structs are as in the BTF. */
export function declareC(btf: Btf, id: number, name: string): string {
  return new CPrinter(btf).declare(id, name, 0, 0);
}

type Tagged = Extract<BtfType, { readonly kind: 'struct' | 'union' | 'enum' | 'enum64' }>;

export class CPrinter {
  readonly btf: Btf;
  readonly #lines: string[] = [];
  /** Ids whose definition stands in the text, or is being written. */
  readonly #state = new Map<number, 'writing' | 'done'>();
  readonly #forward = new Set<string>();
  readonly #names = new Map<number, string>();
  readonly #taken = { tag: new Map<string, number>(), ordinary: new Map<string, number>() };
  #items = 0;

  constructor(btf: Btf) {
    this.btf = btf;
  }

  text(): string {
    return this.#lines.join('\n');
  }

  define(id: number): void {
    const type = this.btf.type(id);
    switch (type?.kind) {
      case 'struct':
      case 'union':
        // Without a name only where something has it as its type.
        if (type.name !== '') this.#need(id, true, 0);
        break;
      case 'enum':
      case 'enum64':
      case 'typedef':
      case 'fwd':
        this.#need(id, true, 0);
        break;
    }
  }

  /** Writes what has to stand before a use of the type; `whole`: its size must be known. */
  #need(id: number, whole: boolean, depth: number): void {
    this.#count(depth);
    const type = this.btf.type(id);
    switch (type?.kind) {
      case 'ptr':
        this.#need(type.type, false, depth + 1);
        break;
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        this.#need(type.type, whole, depth + 1);
        break;
      case 'array':
        this.#need(type.type, true, depth + 1);
        break;
      case 'func_proto':
        this.#need(type.returns, false, depth + 1);
        for (const param of type.params) {
          this.#need(param.type, false, depth + 1);
          this.#declareOpen(param.type);
        }
        break;
      case 'fwd':
        this.#declareForward(`${type.union ? 'union' : 'struct'} ${identifier(type.name)};`);
        break;
      case 'struct':
      case 'union':
        if (type.name === '') for (const member of type.members) this.#need(member.type, true, depth + 1);
        else if (whole)
          this.#once(id, () => {
            for (const member of type.members) this.#need(member.type, true, depth + 1);
            const [first, ...rest] = this.body(id, type, 0, depth + 1);
            this.#lines.push(`${type.kind} ${this.nameOf(id, type)} ${first}`, ...rest, '');
            this.#lines[this.#lines.length - 2] += ';';
          });
        else if (!this.#state.has(id)) this.#declareForward(`${type.kind} ${this.nameOf(id, type)};`);
        break;
      case 'enum':
      case 'enum64':
        // Those without a name stand where they are used; those that nothing uses stand alone.
        if (type.name !== '' || depth === 0)
          this.#once(id, () => this.#lines.push(`${this.#enumText(id, type, 0)};`, ''));
        break;
      case 'typedef':
        if (type.name === BUILT_IN) {
          this.#need(type.type, whole, depth + 1);
          break;
        }
        this.#once(id, () => {
          const { type: target } = this.btf.resolve(type.type);
          const inPlace = target !== undefined && target.name === '' && target.kind !== 'ptr';
          this.#need(type.type, inPlace, depth + 1);
          this.#lines.push(`typedef ${this.declare(type.type, this.nameOf(id, type), 0, depth + 1)};`, '');
        });
        // The name may have been given to a struct that was only declared.
        if (whole) this.#need(type.type, true, depth + 1);
        break;
    }
  }

  /** A struct whose text is not finished would be declared by the parameter list, for that list alone. */
  #declareOpen(id: number): void {
    let at = this.#skipQualifiers(id);
    for (let type = this.btf.type(at); type?.kind === 'ptr'; type = this.btf.type(at))
      at = this.#skipQualifiers(type.type);
    const type = this.btf.type(at);
    if ((type?.kind !== 'struct' && type?.kind !== 'union') || type.name === '') return;
    if (this.#state.get(at) === 'writing') this.#declareForward(`${type.kind} ${this.nameOf(at, type)};`);
  }

  #once(id: number, write: () => void): void {
    const state = this.#state.get(id);
    if (state === 'done') return;
    if (state === 'writing') throw new InputError('SLUICE_BTF_LOOP', `type ${id} contains itself`, { section: '.BTF' });
    this.#state.set(id, 'writing');
    write();
    this.#state.set(id, 'done');
  }

  #declareForward(line: string): void {
    if (this.#forward.has(line)) return;
    this.#forward.add(line);
    this.#lines.push(line, '');
  }

  #count(depth: number): void {
    if (depth > MAX_DEPTH || ++this.#items > MAX_ITEMS)
      throw new InputError('SLUICE_BTF_COMPLEX', 'types are nested too deep to be printed', { section: '.BTF' });
  }

  nameOf(id: number, type: BtfType): string {
    let name = this.#names.get(id);
    if (name === undefined) {
      name = this.#unique(identifier(type.name), type.kind === 'typedef' ? 'ordinary' : 'tag');
      this.#names.set(id, name);
    }
    return name;
  }

  #unique(name: string, space: 'tag' | 'ordinary'): string {
    const count = (this.#taken[space].get(name) ?? 0) + 1;
    this.#taken[space].set(name, count);
    return count === 1 ? name : `${name}___${count}`;
  }

  /** A declarator around `inner` with the type's specifiers in front. */
  declare(id: number, inner: string, indent: number, depth: number): string {
    this.#count(depth);
    const type = this.btf.type(id);
    const next = depth + 1;
    const join = (specifier: string) =>
      inner === '' || inner.startsWith('[') ? specifier + inner : `${specifier} ${inner}`;
    switch (type?.kind) {
      case 'ptr': {
        const target = this.btf.resolve(type.type);
        const direct = this.#skipQualifiers(type.type);
        const isPart = direct === target.id && (target.type?.kind === 'array' || target.type?.kind === 'func_proto');
        return this.declare(type.type, isPart ? `(*${inner})` : `*${inner}`, indent, next);
      }
      case 'array':
        return this.declare(type.type, `${inner}[${type.length}]`, indent, next);
      case 'func_proto': {
        const params = type.params.map((param) =>
          param.type === 0 && param.name === ''
            ? '...'
            : this.declare(param.type, identifier(param.name), indent, next),
        );
        return this.declare(type.returns, `${inner}(${params.join(', ') || 'void'})`, indent, next);
      }
      case 'const':
      case 'volatile':
      case 'restrict': {
        const target = this.btf.type(this.#skipQualifiers(type.type));
        if (target?.kind === 'ptr')
          return this.declare(type.type, inner === '' ? type.kind : `${type.kind} ${inner}`, indent, next);
        const rest = this.declare(type.type, inner, indent, next);
        const already = target?.kind === 'array' && rest.startsWith(`${type.kind} `);
        return target?.kind === 'func_proto' || type.kind === 'restrict' || already ? rest : `${type.kind} ${rest}`;
      }
      case 'type_tag':
        return this.declare(type.type, inner, indent, next);
      case 'struct':
      case 'union':
        if (type.name !== '') return join(`${type.kind} ${this.nameOf(id, type)}`);
        return join(`${type.kind} ${this.body(id, type, indent, next).join('\n')}`);
      case 'enum':
      case 'enum64':
        return join(type.name !== '' ? `enum ${this.nameOf(id, type)}` : this.#enumText(id, type, indent));
      case 'fwd':
        return join(`${type.union ? 'union' : 'struct'} ${identifier(type.name)}`);
      case 'typedef':
        return type.name === BUILT_IN ? this.declare(type.type, inner, indent, next) : join(this.nameOf(id, type));
      case 'int':
      case 'float':
        return join(type.name.replace(/[^\w ]/g, '_') || 'int');
      default:
        return join('void');
    }
  }

  #skipQualifiers(id: number): number {
    let at = id;
    for (let step = 0; step < 64; step++) {
      const type = this.btf.type(at);
      if (type?.kind !== 'const' && type?.kind !== 'volatile' && type?.kind !== 'restrict' && type?.kind !== 'type_tag')
        break;
      at = type.type;
    }
    return at;
  }

  /** `{`, the members, `}`. */
  body(
    id: number,
    type: Extract<Tagged, { readonly kind: 'struct' | 'union' }>,
    indent: number,
    depth: number,
  ): string[] {
    return structLines(this.btf, id, type, '\t'.repeat(indent), (member) =>
      this.declare(member.type, identifier(member.name), indent + 1, depth + 1),
    );
  }

  #enumText(id: number, type: Extract<Tagged, { readonly kind: 'enum' | 'enum64' }>, indent: number): string {
    const tab = '\t'.repeat(indent + 1);
    const values = type.values.map(({ name, value }) => {
      const suffix = type.size === 8 ? (type.signed ? 'LL' : 'ULL') : '';
      // The smallest number cannot be written as a literal with a sign.
      const text = type.size === 8 && value === -(1n << 63n) ? '(-9223372036854775807LL - 1)' : `${value}${suffix}`;
      return `${tab}${this.#unique(identifier(name), 'ordinary')} = ${text},`;
    });
    const name = type.name === '' ? '' : `${this.nameOf(id, type)} `;
    const mode = type.size === 1 ? ' __attribute__((mode(byte)))' : type.size === 2 ? ' __attribute__((mode(HI)))' : '';
    return [`enum ${name}{`, ...values, `${'\t'.repeat(indent)}}${mode}`].join('\n');
  }
}

/** Other languages have names that C does not. */
function identifier(name: string): string {
  return name.replace(/\W/g, '_');
}
