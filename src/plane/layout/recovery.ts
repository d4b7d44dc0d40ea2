/** What cpu_recover writes (plane/assembly/cpus/recovery.ts), u32 each: locks that the CPU held and others wait for no more; those of programs, in values. */
export const RECOVERED_LOCKS = 0;
export const RECOVERED_VALUES = 4;
/** Elements of maps, records of ring buffers, cached or waiting objects, items of the inbox. */
export const RECOVERED_ELEMENTS = 8;
export const RECOVERED_RECORDS = 12;
export const RECOVERED_OBJECTS = 16;
export const RECOVERED_ITEMS = 20;
export const RECOVERED_BYTES = 24;
