"""The report: its page, its sections, its charts, and the leaderboard as text."""
