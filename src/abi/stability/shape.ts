/**
 * How a function is called, as far as registers go: `i(p,i,p)`, the result first. i: a number of any size, p: an address, s: a struct by value, v: nothing.
 * Two declarations of one shape can be called for each other; this is also what libbpf compares (bpf_core_types_are_compat), which asks for no names or sizes.
 */
import type { Btf } from '../../btf/types.ts';
import type { KfuncSignature, KfuncType } from '../kfunc-signature.ts';

const letters: Readonly<Record<KfuncType['kind'], string>> = {
  void: 'v',
  function: 'v',
  scalar: 'i',
  struct: 's',
  pointer: 'p',
};

const shape = (returns: string, params: readonly string[]) => `${returns}(${params.join(',')})`;

export function shapeOfSignature({ returns, params }: Pick<KfuncSignature, 'returns' | 'params'>): string {
  return shape(
    letters[returns.kind],
    params.map(({ type }) => letters[type.kind]),
  );
}

/** Of a `func` or `func_proto`; undefined for anything else. */
export function shapeOfBtf(btf: Btf, id: number): string | undefined {
  const type = btf.type(id);
  const proto = type?.kind === 'func' ? btf.type(type.type) : type;
  if (proto?.kind !== 'func_proto') return undefined;
  return shape(
    letterOf(btf, proto.returns),
    proto.params.map((each) => letterOf(btf, each.type)),
  );
}

function letterOf(btf: Btf, id: number): string {
  const type = btf.type(id);
  switch (type?.kind) {
    case undefined:
      return 'v';
    case 'int':
    case 'enum':
    case 'enum64':
    case 'float':
      return 'i';
    case 'ptr':
    case 'array':
      return 'p';
    case 'struct':
    case 'union':
    case 'fwd':
      return 's';
    case 'typedef':
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type_tag':
      return letterOf(btf, type.type);
    default:
      return 'v';
  }
}
