package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:console/dist
var console embed.FS

// Console are the files of the built console; false if it was not built (make ui)
// before the binary was.
func Console() (fs.FS, bool) {
	files, err := fs.Sub(console, "console/dist")
	if err != nil {
		panic("ui: " + err.Error()) // the folder is embedded at build time
	}
	_, err = fs.Stat(files, "index.html")
	return files, err == nil
}
