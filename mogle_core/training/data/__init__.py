"""What a step is fed with: items, draws by number, the schedule, samples and their cache."""
