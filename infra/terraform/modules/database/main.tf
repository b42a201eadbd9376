resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Private subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-database-"
  description = "Database: members of the nodes' group and the bastion come in, nothing goes out"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-database" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  description                  = var.emulated ? null : "PostgreSQL from the nodes"
  referenced_security_group_id = var.client_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

locals {
  parameters = {
    "rds.force_ssl" = "1"
    "log_statement" = "ddl"
    # Statements that take longer are logged; in milliseconds.
    "log_min_duration_statement" = "1000"
  }
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres${split(".", var.settings.version)[0]}"
  description = "Encrypted connections only; changes of the schema are logged"

  dynamic "parameter" {
    for_each = var.emulated ? {} : local.parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Made here and not by RDS, so that the logs are encrypted, end some day, and go with the environment.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

# A name of its own for each database's last snapshot: a fixed one is taken once the environment was destroyed before, and
# RDS would then refuse to destroy it again. The id is made once and kept in the state, so that no later plan differs.
resource "terraform_data" "final_snapshot" {
  count = var.protected ? 1 : 0
}

resource "aws_db_instance" "this" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.settings.version
  instance_class = var.settings.instance_class
  db_name        = "slipway"
  username       = "slipway_admin"

  # RDS makes the password and rotates it in Secrets Manager: no plan, state or variable ever holds it.
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.key_arn
  iam_database_authentication_enabled = true

  allocated_storage     = var.settings.storage_gib
  max_allocated_storage = var.settings.storage_max_gib
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.key_arn

  publicly_accessible    = false
  multi_az               = var.settings.multi_az
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  parameter_group_name   = aws_db_parameter_group.this.name

  backup_retention_period    = var.settings.backup_days
  copy_tags_to_snapshot      = true
  auto_minor_version_upgrade = true

  performance_insights_enabled    = var.emulated ? false : true
  performance_insights_kms_key_id = var.emulated ? null : var.key_arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = var.protected ? "${var.name}-final-${substr(terraform_data.final_snapshot[0].id, 0, 8)}" : null
  delete_automated_backups  = !var.protected

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy_attachment.monitoring]

  lifecycle {
    # RDS takes newer minor versions by itself and never goes back: that is no drift.
    ignore_changes = [engine_version]
  }
}
