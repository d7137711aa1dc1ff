"""Helpers that do not depend on faces: whole files, sheets, memory, versions, errors."""
