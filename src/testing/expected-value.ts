/** What a test expects of values: members that it names, and no others. */
import type { Value } from '../btf/codec.ts';

/** Where the value differs from what is expected, as `path: expected A, found B`; undefined where it does not. */
export function differenceOf(expected: Value, found: Value | undefined, path = ''): string | undefined {
  const place = path === '' ? '' : `${path}: `;
  const unlike = () => `${place}expected ${show(expected)}, found ${show(found)}`;
  if (found === undefined) return unlike();
  if (typeof expected === 'number' || typeof expected === 'bigint') {
    const number = typeof found === 'boolean' ? Number(found) : found;
    if (typeof number !== 'number' && typeof number !== 'bigint') return unlike();
    return sameNumber(expected, number) ? undefined : unlike();
  }
  if (typeof expected === 'boolean')
    return expected === Boolean(found) && typeof found !== 'object' ? undefined : unlike();
  if (typeof expected === 'string') return expected === found ? undefined : unlike();
  if (expected instanceof Uint8Array)
    return found instanceof Uint8Array && show(expected) === show(found) ? undefined : unlike();
  if (Array.isArray(expected)) {
    // A byte array may be given as numbers.
    const elements = found instanceof Uint8Array ? [...found] : found;
    if (!Array.isArray(elements) || elements.length !== expected.length) return unlike();
    return firstOf(expected.map((each, i) => differenceOf(each as Value, elements[i] as Value, `${path}[${i}]`))); // elements of Values
  }
  if (typeof found !== 'object' || found instanceof Uint8Array || Array.isArray(found)) return unlike();
  const members = found as Readonly<Record<string, Value>>; // what is left of Value
  return firstOf(
    Object.entries(expected).map(([name, each]) =>
      differenceOf(each as Value, members[name], path === '' ? name : `${path}.${name}`),
    ),
  );
}

function sameNumber(a: number | bigint, b: number | bigint): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a === b;
  return Number.isInteger(Number(a)) && BigInt(a) === BigInt(b);
}

function firstOf(differences: readonly (string | undefined)[]): string | undefined {
  return differences.find((each) => each !== undefined);
}

/** The sum over CPUs of a per-CPU value: numbers add up member by member; of anything else the first CPU's counts. */
export function sumOverCpus(values: readonly Value[]): Value | undefined {
  return values
    .slice(1)
    .reduce<Value | undefined>((sum, each) => (sum === undefined ? each : add(sum, each)), values[0]);
}

function add(a: Value, b: Value): Value {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (typeof a === 'bigint' && typeof b === 'bigint') return BigInt.asUintN(64, a + b);
  if (isRecord(a) && isRecord(b))
    return Object.fromEntries(Object.entries(a).map(([name, value]) => [name, add(value, b[name] ?? value)]));
  return a;
}

function isRecord(value: Value): value is Readonly<Record<string, Value>> {
  return typeof value === 'object' && !(value instanceof Uint8Array) && !Array.isArray(value);
}

/** A value on one line, as test files write it. */
export function show(value: Value | undefined | null): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array)
    return `hex:${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  if (Array.isArray(value)) return `[${value.map((each) => show(each as Value)).join(', ')}]`; // elements of a Value
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, each]) => `${name}: ${show(each as Value)}`)
      .join(', ')}}`; // members of a Value
  return JSON.stringify(value);
}
