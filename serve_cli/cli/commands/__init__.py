"""The commands of `lifted`, one file each: parse options, call one library function, print its result."""
