#!/bin/bash
# deploy.sh - 自动化部署脚本

set -e  # 遇到错误立即退出

# ==================== 配置区 ====================
APP_NAME="hotgo"
APP_DIR="/opt/hotgo/server"
BACKUP_DIR="/opt/hotgo/backups"
GIT_REPO="https://github.com/your/repo.git"
GIT_BRANCH="main"

# 颜色输出
RED='\033[0;31m'
GREEN='\033[0;32m'
YELLOW='\033[1;33m'
NC='\033[0m' # No Color

# ==================== 函数定义 ====================

log_info() {
    echo -e "${GREEN}[INFO]${NC} $1"
}

log_warn() {
    echo -e "${YELLOW}[WARN]${NC} $1"
}

log_error() {
    echo -e "${RED}[ERROR]${NC} $1"
}

# 检查服务状态
check_service() {
    if systemctl is-active --quiet $APP_NAME; then
        return 0
    else
        return 1
    fi
}

# 备份当前版本
backup_current() {
    local timestamp=$(date +%Y%m%d_%H%M%S)
    local backup_file="${BACKUP_DIR}/backup_${timestamp}.tar.gz"
    
    log_info "备份当前版本到: $backup_file"
    mkdir -p $BACKUP_DIR
    
    tar -czf $backup_file \
        -C $APP_DIR \
        --exclude='logs' \
        --exclude='tmp' \
        --exclude='*.log' \
        .
    
    # 只保留最近10个备份
    ls -t $BACKUP_DIR/backup_*.tar.gz | tail -n +11 | xargs -r rm
    
    log_info "备份完成"
}

# 拉取最新代码
update_code() {
    log_info "拉取最新代码..."
    cd $APP_DIR
    
    # 保存本地修改（如果有）
    git stash
    
    # 拉取最新代码
    git fetch origin $GIT_BRANCH
    git checkout $GIT_BRANCH
    git pull origin $GIT_BRANCH
    
    log_info "代码更新完成"
}

# 编译应用
build_app() {
    log_info "编译应用程序..."
    cd $APP_DIR
    
    # 备份旧的可执行文件
    if [ -f "main" ]; then
        mv main main.old
    fi
    
    # 编译新版本
    go build -o main main.go
    
    # 检查编译是否成功
    if [ ! -f "main" ]; then
        log_error "编译失败！恢复旧版本..."
        mv main.old main
        exit 1
    fi
    
    # 赋予执行权限
    chmod +x main
    
    log_info "编译完成"
}

# 数据库迁移
migrate_database() {
    log_info "检查数据库迁移..."
    cd $APP_DIR
    
    # 如果有数据库迁移脚本
    if [ -d "storage/migrations" ]; then
        log_warn "请手动执行数据库迁移（如有需要）"
        # 这里可以添加自动迁移逻辑
        # ./main migrate up
    fi
}

# 优雅重启服务
restart_service() {
    log_info "重启服务..."
    
    if check_service; then
        # 服务正在运行，执行优雅重启
        log_info "服务运行中，执行优雅重启..."
        sudo systemctl reload-or-restart $APP_NAME
        
        # 等待服务重启
        sleep 3
        
        # 检查服务状态
        if check_service; then
            log_info "✅ 服务重启成功"
        else
            log_error "❌ 服务重启失败！检查日志："
            sudo journalctl -u $APP_NAME -n 50 --no-pager
            exit 1
        fi
    else
        # 服务未运行，直接启动
        log_info "服务未运行，启动服务..."
        sudo systemctl start $APP_NAME
        
        sleep 3
        
        if check_service; then
            log_info "✅ 服务启动成功"
        else
            log_error "❌ 服务启动失败！"
            exit 1
        fi
    fi
}

# 健康检查
health_check() {
    log_info "执行健康检查..."
    
    local max_retries=10
    local retry_count=0
    
    while [ $retry_count -lt $max_retries ]; do
        # 检查HTTP服务是否响应
        if curl -f -s -o /dev/null http://localhost:8000/api/health; then
            log_info "✅ 健康检查通过"
            return 0
        fi
        
        retry_count=$((retry_count + 1))
        log_warn "健康检查失败，重试 $retry_count/$max_retries..."
        sleep 2
    done
    
    log_error "❌ 健康检查失败！服务可能未正常启动"
    return 1
}

# 回滚到上一个版本
rollback() {
    log_error "部署失败，执行回滚..."
    
    # 找到最新的备份
    local latest_backup=$(ls -t $BACKUP_DIR/backup_*.tar.gz | head -n 1)
    
    if [ -z "$latest_backup" ]; then
        log_error "未找到备份文件，无法回滚！"
        exit 1
    fi
    
    log_info "从备份恢复: $latest_backup"
    
    # 停止服务
    sudo systemctl stop $APP_NAME
    
    # 恢复备份
    tar -xzf $latest_backup -C $APP_DIR
    
    # 重启服务
    sudo systemctl start $APP_NAME
    
    sleep 3
    
    if check_service; then
        log_info "✅ 回滚成功"
    else
        log_error "❌ 回滚后服务启动失败！需要人工介入"
        exit 1
    fi
}

# ==================== 主流程 ====================

main() {
    log_info "========================================="
    log_info "开始部署 $APP_NAME"
    log_info "时间: $(date '+%Y-%m-%d %H:%M:%S')"
    log_info "========================================="
    
    # 1. 备份当前版本
    backup_current
    
    # 2. 拉取最新代码
    update_code
    
    # 3. 编译应用
    build_app
    
    # 4. 数据库迁移（可选）
    migrate_database
    
    # 5. 重启服务
    restart_service
    
    # 6. 健康检查
    if ! health_check; then
        rollback
        exit 1
    fi
    
    log_info "========================================="
    log_info "✅ 部署成功！"
    log_info "========================================="
    
    # 显示服务状态
    sudo systemctl status $APP_NAME --no-pager -l
}

# ==================== 脚本入口 ====================

# 检查是否有root权限
if [ "$EUID" -ne 0 ] && ! sudo -n true 2>/dev/null; then 
    log_error "此脚本需要sudo权限"
    exit 1
fi

# 执行主流程
main "$@"
