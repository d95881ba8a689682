"""The commands of `lifted`, one file each: parse, call one library function, print what it returns."""
