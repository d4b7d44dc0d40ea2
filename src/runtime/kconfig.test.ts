import { describe, expect, it } from 'vitest';
import type { ExternSpec } from '../object/spec.ts';
import { kconfigBytes, MODELLED_KERNEL_VERSION } from './kconfig.ts';

const extern = (name: string, size: number, weak = false): ExternSpec => ({
  name,
  section: '.kconfig',
  btfId: 0,
  size,
  alignment: size,
  weak,
  function: false,
});

describe('values of .kconfig externs', () => {
  it.each([
    ['CONFIG_HZ', 8, {}, [250, 0, 0, 0, 0, 0, 0, 0]],
    ['CONFIG_HZ', 4, { CONFIG_HZ: '1000' }, [0xe8, 3, 0, 0]],
    ['CONFIG_BPF_SYSCALL', 1, {}, [1]],
    ['CONFIG_BPF_SYSCALL', 1, { CONFIG_BPF_SYSCALL: 'm' }, [2]],
    ['CONFIG_DEFAULT_HOSTNAME', 4, {}, [...new TextEncoder().encode('(no'), 0]],
    ['CONFIG_NEGATIVE', 4, { CONFIG_NEGATIVE: '-0x2' }, [0xfe, 0xff, 0xff, 0xff]],
    ['LINUX_KERNEL_VERSION', 4, {}, [0, 18, 6, 0]],
    ['LINUX_KERNEL_VERSION', 4, { LINUX_KERNEL_VERSION: '0x50a03' }, [3, 10, 5, 0]],
    ['LINUX_HAS_BPF_COOKIE', 1, {}, [0]],
    ['LINUX_HAS_BPF_COOKIE', 1, { LINUX_HAS_BPF_COOKIE: '1' }, [1]],
  ])('%s in %d bytes, of %o', (name, size, values, bytes) => {
    expect([...kconfigBytes(extern(name, size), values)]).toEqual(bytes);
  });

  it('a missing one is zero if it is weak, else refused by name', () => {
    expect([...kconfigBytes(extern('CONFIG_NOWHERE', 2, true), {})]).toEqual([0, 0]);
    expect(() => kconfigBytes(extern('CONFIG_NOWHERE', 2), {})).toThrow(/needs the kernel option CONFIG_NOWHERE/);
    expect(MODELLED_KERNEL_VERSION).toBe(0x61200);
  });
});
