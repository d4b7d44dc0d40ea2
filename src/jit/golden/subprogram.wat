(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $subprogram (type 2) (param i64 i64) (result i64)
    (local i64 i64)
    (local.set 2
      (local.get 1))
    (local.set 3
      (call 1
        (local.get 0)))
    (local.set 3
      (i64.add
        (local.get 3)
        (local.get 2)))
    (return
      (local.get 3))
    (unreachable))
  (func $subprogram.twice (type 0) (param i64) (result i64)
    (local i64)
    (local.set 1
      (local.get 0))
    (local.set 1
      (i64.add
        (local.get 1)
        (local.get 0)))
    (return
      (local.get 1))
    (unreachable))
  (export "subprogram" (func 0))
  (export "subprogram:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
