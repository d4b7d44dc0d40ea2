/** Strings in read-only maps that calls want to know at verification, and format strings (check_reg_const_str, check_bpf_snprintf_call). */
import * as k from '../kinds.ts';
import { checkMapAccess, checkMapBounds } from '../memory/memory.ts';
import { auxOf, constantOf, isConstant, kindOf, offsetOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';

const BPF_F_RDONLY_PROG = 1 << 7;

function refuse(v: Verification, problem: string, reason: string): never {
  v.refuse('const-string', 'Call Type Safety', problem, reason);
}

/** The register (a map value) points to a NUL-terminated string in read-only data. Returns it, without the NUL. */
export function checkConstString(v: Verification, number: number): Uint8Array {
  const r = v.register(number);
  const map = v.code.maps[auxOf(r)]!;
  const { contents } = map;
  // Of the maps that programs only read, those with contents from the object are frozen.
  if ((map.flags & BPF_F_RDONLY_PROG) === 0 || contents.kind !== 'bytes')
    refuse(v, `R${number} does not point to a readonly map'`, 'The string must be a constant of the object.');
  if (!isConstant(r)) refuse(v, `R${number} is not a constant address'`, 'Which string is meant must be known.');
  if (map.type !== 'array')
    refuse(v, 'no direct value access support for this map type', 'Only values of arrays have a known address.');
  const off = offsetOf(r);
  checkMapAccess(v, map, off, map.valueSize - off, false);
  checkMapBounds(v, number, r, off, map.valueSize - off, false);
  if (map.name === '.kconfig') v.unfollowed('string of the configuration');
  const start = off + constantOf(r);
  const end = contents.bytes.indexOf(0, start);
  if (end < 0) refuse(v, 'string is not zero-terminated', 'The string runs to the end of the map without a NUL.');
  return contents.bytes.subarray(start, end);
}

/** bpf_snprintf: format in R3, number of bytes of arguments in R5. */
export function checkFormat(v: Verification): void {
  const size = v.register(5);
  const bytes = kindOf(size) === k.SCALAR ? constantOf(size) : 0;
  const format = checkConstString(v, 3);
  if (bytes % 8 !== 0)
    refuse(v, 'Invalid format string', 'Arguments take eight bytes each, and the size is no multiple of that.');
  if (!isFormat(format, bytes / 8))
    refuse(
      v,
      'Invalid format string',
      'The format has a specifier that is not supported, or more than there are arguments.',
    );
}

const code = (text: string) => text.charCodeAt(0);
const isSpace = (c: number) => c === 32 || (c >= 9 && c <= 13);
const isPunctuation = (c: number) =>
  (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
const isDigit = (c: number) => c >= 48 && c <= 57;
const among = (c: number, set: string) => c !== 0 && set.includes(String.fromCharCode(c));

/** The specifiers that bpf_bprintf_prepare understands, at most `count` of them. */
export function isFormat(format: Uint8Array, count: number): boolean {
  const at = (i: number) => format[i] ?? 0;
  const endsWord = (c: number) => c === 0 || isSpace(c) || isPunctuation(c);
  let found = 0;
  for (let i = 0; i < format.length; i++) {
    const c = at(i);
    if ((c < 32 || c === 127) && !isSpace(c)) return false;
    if (c !== code('%')) continue;
    if (at(i + 1) === code('%')) {
      i++;
      continue;
    }
    if (found >= count) return false;
    i++;
    while (among(at(i), '0+- ')) i++;
    if (at(i) !== code('0') && isDigit(at(i))) while (isDigit(at(i))) i++;
    found++;
    if (at(i) === code('p')) {
      const next = at(i + 1);
      if (endsWord(next)) continue;
      if (among(next, 'ku') && at(i + 2) === code('s')) {
        i += 2;
        if (!endsWord(at(i + 1))) return false;
      } else if (among(next, 'KxsSB')) i++;
      else if (among(next, 'iI') && among(at(i + 2), '46')) i += 2;
      else return false;
      continue;
    }
    if (at(i) === code('s')) {
      if (!endsWord(at(i + 1))) return false;
      continue;
    }
    if (at(i) === code('c')) continue;
    if (at(i) === code('l')) i++;
    if (at(i) === code('l')) i++;
    if (!among(at(i), 'iduxX')) return false;
  }
  return true;
}
