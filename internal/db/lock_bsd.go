//go:build unix && !linux

package db

func remote(string) string { return "" }
