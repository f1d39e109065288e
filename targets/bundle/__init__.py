"""The files of a bundle as a device reads them: manifest, golden inputs, verdict."""
