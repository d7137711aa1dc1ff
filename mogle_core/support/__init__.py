"""What has nothing to do with faces: whole files, sheets, memory, versions, errors."""
