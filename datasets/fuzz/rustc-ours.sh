#!/bin/sh
# For RUSTC_WRAPPER: coverage is counted in our crates and in what decodes Parquet, not in the rest
# of Polars, which would double its build and drown what a fuzzer looks for.
rustc=$1
shift
case " $* " in
*" --crate-name plimsoll"* | *" fuzz_targets/"* | *" --crate-name polars_parquet"*)
    exec "$rustc" "$@"
    ;;
esac
for argument in "$@"; do
    shift
    case $argument in
    -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-*) ;;
    *) set -- "$@" "$argument" ;;
    esac
done
exec "$rustc" "$@"
