package db

import "syscall"

// remote names the network file system that dir is on, or returns "".
func remote(dir string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return ""
	}
	switch uint32(fs.Type) { // linux/magic.h
	case 0x6969:
		return "NFS"
	case 0xff534d42, 0xfe534d42, 0x517b:
		return "SMB"
	case 0x00c36400:
		return "CephFS"
	}
	return ""
}
